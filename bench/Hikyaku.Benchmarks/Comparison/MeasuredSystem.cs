using System.Net;
using System.Net.Sockets;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Directories to write to, and the processes behind them.</summary>
internal abstract class MeasuredSystem : IDisposable
{
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(30);

    /// <summary>Where writers write, and where that arrives.</summary>
    public abstract IReadOnlyList<Way> Ways { get; }

    /// <summary>The first directory.</summary>
    public string Directory => Ways[0].Directory;

    /// <summary>The file where the lines of the first directory arrive, for systems that have one.</summary>
    public string Output => Ways[0].Outputs[0];

    /// <summary>The processes behind the directories, by role.</summary>
    public virtual IEnumerable<(string Role, int Pid)> Processes => [];

    /// <summary>Whether one of the processes behind the directories has ended by itself.</summary>
    public virtual bool HasDied => false;

    public virtual void Dispose()
    {
        // Nothing runs.
    }

    protected static bool IsMounted(string directory) =>
        File.ReadLines("/proc/self/mountinfo").Any(line => line.Split(' ')[4].Equals(directory, StringComparison.Ordinal));

    protected static void AwaitMount(string directory, ChildProgram program) =>
        Await(() => IsMounted(directory), $"{directory} is not mounted", program);

    /// <summary>Looked up instead of tried: a connection would be one more sender.</summary>
    protected static void AwaitListener(int port, ChildProgram program) =>
        Await(() => File.ReadLines("/proc/net/tcp").Any(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var local, _, "0A", ..] && local.EndsWith($":{port:X4}", StringComparison.Ordinal)),
            "nobody listens", program);

    protected static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // A program that died hard leaves its mount behind.
    protected static void Unmount(string directory)
    {
        if (!IsMounted(directory))
            return;
        using var umount = System.Diagnostics.Process.Start("umount", ["-l", directory]);
        umount.WaitForExit();
    }

    private static void Await(Func<bool> condition, string otherwise, ChildProgram program)
    {
        var end = DateTime.UtcNow + StartTime;
        while (!condition())
        {
            program.Check();
            if (DateTime.UtcNow > end)
                throw new ComparisonException($"{otherwise} within {StartTime.TotalSeconds} s:\n{program.Said()}");
            Thread.Sleep(20);
        }
    }
}

/// <summary>A directory, and the files where its lines arrive; none if they go nowhere.</summary>
internal sealed record Way(string Directory, params string[] Outputs);

/// <summary>A directory of the disk that the others are on.</summary>
internal sealed class PlainDirectory(string work) : MeasuredSystem
{
    public override IReadOnlyList<Way> Ways { get; } = [new Way(work)];

    public static string Name(string folder) => "plain " + new DriveInfo(folder).DriveFormat;
}

/// <summary>The least a FUSE mount can cost: a C program that takes every write and only replies.</summary>
internal sealed class NullMount : MeasuredSystem
{
    public const string Name = "null FUSE daemon";

    private readonly ChildProgram _program;

    public NullMount(string work, string tools)
    {
        var directory = System.IO.Directory.CreateDirectory(Path.Combine(work, "null")).FullName;
        Ways = [new Way(directory)];
        _program = new ChildProgram(Path.Combine(tools, "nullfuse"), Path.Combine(work, "nullfuse.txt"), directory);
        AwaitMount(directory, _program);
    }

    public override IReadOnlyList<Way> Ways { get; }

    public override IEnumerable<(string Role, int Pid)> Processes => [("null daemon", _program.Id)];

    public override bool HasDied => _program.HasExited;

    public override void Dispose()
    {
        _program.Dispose();
        Unmount(Directory);
    }
}
