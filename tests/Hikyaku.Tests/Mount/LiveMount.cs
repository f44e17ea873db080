using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>A real mount in a directory of its own, served by a thread; as root only.</summary>
internal sealed partial class LiveMount : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly string _root;
    private readonly List<string> _reports = [];
    private FuseDevice? _device;
    private Thread? _thread;
    private Exception? _failure;
    private MountEnd? _end;
    private string _negotiation = "";
    private int _directoryFd = -1;

    public LiveMount(Func<MountOptions, MountOptions>? configure = null, string? root = null)
    {
        _root = root ?? Directory.CreateTempSubdirectory("hikyaku-mount-").FullName;
        Configure = configure ?? (static options => options);
        Directory.CreateDirectory(Point);
        Directory.CreateDirectory(Path.Combine(_root, "logs"));
        Directory.CreateDirectory(Path.Combine(_root, "mounts"));
        Directory.CreateDirectory(Path.Combine(_root, "cursors"));
    }

    public static bool IsPossible => OperatingSystem.IsLinux() && geteuid() == 0 && File.Exists("/dev/fuse");

    public Func<MountOptions, MountOptions> Configure { get; set; }

    public string Root => _root;

    public string Point => Path.Combine(_root, "at");

    public string LogDirectory => Path.Combine(_root, "logs", "test");

    public string CursorDirectory => Path.Combine(_root, "cursors");

    public MountCounters Counters { get; private set; } = new();

    public MountEnd? End => _end;

    public string Reports
    {
        get
        {
            lock (_reports)
                return string.Join('\n', _reports);
        }
    }

    public LiveMount Start()
    {
        _directoryFd = open(Point, 0x200000 | 0x80000, 0);
        Assert.True(_directoryFd >= 0);
        // The name that docs/SEMANTICS.md sees in df.
        _device = FuseMount.Mount(Point, "apache");
        _negotiation = FuseNegotiation.Answer(_device, passesThrough: true).ToString();
        using var ready = new ManualResetEventSlim();
        var options = Configure(new MountOptions
        {
            Name = "test",
            DeviceFd = _device.Descriptor,
            Negotiation = _negotiation,
            DirectoryFd = _directoryFd,
            StateDirectory = Path.Combine(_root, "mounts", "test"),
            LogDirectory = LogDirectory,
            Log = new LogOptions { SegmentBytes = 1 << 20 },
            Fresh = true,
            Report = text =>
            {
                lock (_reports)
                    _reports.Add(text);
            },
            Ready = ready.Set,
        });
        Counters = options.Counters;
        _thread = new Thread(() =>
        {
            try
            {
                _end = KernelEnd.RunWhenFree(options);
            }
            catch (Exception e)
            {
                _failure = e;
                ready.Set();
                // Nobody will answer any more: programs shall not hang.
                try
                {
                    FuseMount.UnmountLazily(Point);
                }
                catch (FuseException)
                {
                }
                _device.Dispose();
            }
        }) { IsBackground = true };
        _thread.Start();
        Assert.True(ready.Wait(Limit));
        Assert.Null(_failure);
        return this;
    }

    /// <summary>Waits until every file was looked at for what was written while nothing was mounted.</summary>
    public void WaitForAccount()
    {
        var state = Path.Combine(_root, "mounts", "test");
        Assert.True(SpinWait.SpinUntil(() => File.Exists(Path.Combine(state, "account")) && !File.Exists(Path.Combine(state, "account.new")), Limit));
    }

    /// <summary>Unmounts, and waits until the mount process is done.</summary>
    public void Stop()
    {
        if (_device is null)
            return;
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                FuseMount.Unmount(Point);
                break;
            }
            catch (FuseException e) when (e.Failure == FuseFailure.Busy && watch.Elapsed < TimeSpan.FromSeconds(5))
            {
                Thread.Yield();
            }
            catch (FuseException)
            {
                try
                {
                    FuseMount.UnmountLazily(Point);
                }
                catch (FuseException)
                {
                }
                break;
            }
        }
        var isDone = _thread!.Join(TimeSpan.FromSeconds(20));
        _device.Dispose();
        _device = null;
        _ = close(_directoryFd);
        if (_failure is not null)
            throw new InvalidOperationException("the mount process failed", _failure);
        Assert.True(isDone);
    }

    public void Dispose()
    {
        Stop();
        Directory.Delete(_root, recursive: true);
    }

    /// <summary>Runs a shell script in the mount and returns what it printed, both streams.</summary>
    public string Shell(string script, bool mustSucceed = true)
    {
        using var process = Process.Start(new ProcessStartInfo("timeout", ["60", "sh", "-c", "exec 2>&1\n" + script])
        {
            WorkingDirectory = Point,
            RedirectStandardOutput = true,
            Environment = { ["LC_ALL"] = "C", ["UNDERNEATH"] = _root },
        })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (mustSucceed && process.ExitCode != 0)
            Assert.Fail($"{script}\nended with {process.ExitCode} and printed:\n{output}\nreports:\n{Reports}");
        return output;
    }

    /// <summary>As <see cref="Records()"/>, once there are so many: a close comes a moment after the program closed.</summary>
    public List<string> Records(int count)
    {
        SpinWait.SpinUntil(() => Records().Count >= count, Limit);
        return Records();
    }

    /// <summary>All that is in the log, as text: one line per record that matters.</summary>
    public List<string> Records()
    {
        var lines = new List<string>();
        var paths = new Dictionary<ulong, string>();
        using var reader = new LogReader(new FileLogStorage(LogDirectory), 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Source && SourceRecord.TryParse(record.Body, out var source))
                paths[source.Id == 0 ? record.Sequence : source.Id] = Encoding.UTF8.GetString(source.Path);
            else if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                lines.Add($"write {paths[write.Source]}@{write.Offset} {Encoding.UTF8.GetString(write.Data).Replace("\n", "\\n", StringComparison.Ordinal)}");
            else if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                lines.Add($"extent {paths[extent.Source]} {extent.From}..{extent.To}");
            else if (record.Kind == RecordKind.Close && CloseRecord.TryParse(record.Body, out var close))
                lines.Add($"close {paths[close.Source]}");
        }
        return lines;
    }

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc")]
    private static partial int close(int fd);
}
