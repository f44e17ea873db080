using System.Net;
using System.Net.Sockets;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A directory to write to, and the processes behind it.</summary>
internal abstract class MeasuredSystem : IDisposable
{
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(30);

    public abstract string Name { get; }

    /// <summary>Where the writers write.</summary>
    public abstract string Directory { get; }

    /// <summary>Where the lines arrive, all in one file; null if they go nowhere.</summary>
    public virtual string? Output => null;

    /// <summary>The processes behind the directory, by role.</summary>
    public virtual IEnumerable<(string Role, int Pid)> Processes => [];

    /// <summary>Whether one of the processes behind the directory has ended by itself.</summary>
    public virtual bool HasDied => false;

    public virtual void Dispose()
    {
        // Nothing runs.
    }

    protected static bool IsMounted(string directory) =>
        File.ReadLines("/proc/self/mountinfo").Any(line => line.Split(' ')[4].Equals(directory, StringComparison.Ordinal));

    protected static void AwaitMount(string directory, ChildProgram program)
    {
        var end = DateTime.UtcNow + StartTime;
        while (!IsMounted(directory))
        {
            program.Check();
            if (DateTime.UtcNow > end)
                throw new ComparisonException($"{directory} was not mounted within {StartTime.TotalSeconds} s:\n{program.Said()}");
            Thread.Sleep(20);
        }
    }

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
}

/// <summary>A directory of the disk that the others are on.</summary>
internal sealed class PlainDirectory : MeasuredSystem
{
    public PlainDirectory(string work) => Directory = System.IO.Directory.CreateDirectory(Path.Combine(work, "plain")).FullName;

    public override string Name => "plain " + new DriveInfo(Directory).DriveFormat;

    public override string Directory { get; }
}

/// <summary>The least a FUSE mount can cost: a C program that takes every write and only replies.</summary>
internal sealed class NullMount : MeasuredSystem
{
    private readonly ChildProgram _program;

    public NullMount(string work, string tools)
    {
        Directory = System.IO.Directory.CreateDirectory(Path.Combine(work, "null")).FullName;
        _program = new ChildProgram(Path.Combine(tools, "nullfuse"), Path.Combine(work, "nullfuse.txt"), Directory);
        AwaitMount(Directory, _program);
    }

    public override string Name => "null FUSE daemon";

    public override string Directory { get; }

    public override IEnumerable<(string Role, int Pid)> Processes => [("null daemon", _program.Id)];

    public override void Dispose()
    {
        _program.Dispose();
        Unmount(Directory);
    }
}
