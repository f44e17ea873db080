using System.Buffers.Binary;
using System.Collections.Concurrent;
using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>A file that may have grown while nothing was mounted.</summary>
/// <param name="Descriptor">For reading; whoever takes it closes it.</param>
/// <param name="Path">From the top, as found.</param>
internal readonly record struct Suspect(int Descriptor, byte[] Path);

/// <summary>
/// Looks at every file underneath, behind a new mount, on a thread of its own: those that are as they were are accounted for in
/// the new account, and those that are not are handed to the mount's thread.
/// </summary>
internal sealed unsafe class UnmountedScan : IDisposable
{
    // Each holds a descriptor.
    private const int SuspectsMax = 128;
    private const int LevelsMax = 256;
    private const int Directory = 4;
    private const int Regular = 8;
    private const int Unknown = 0;

    private readonly int _root;
    private readonly Account? _before;
    private readonly Account _account;
    private readonly Action _ring;
    private readonly Action<string> _report;
    private readonly BlockingCollection<Suspect> _suspects = new(SuspectsMax);
    private readonly CancellationTokenSource _stop = new();
    private readonly long _boot;
    private Thread? _thread;
    private ulong _device;
    private int _faults;

    /// <param name="root">The directory underneath.</param>
    /// <param name="before">What is known; null = nothing is to be carried.</param>
    /// <param name="account">The new account.</param>
    /// <param name="ring">Wakes the mount's thread.</param>
    /// <param name="report">For sentences to people.</param>
    public UnmountedScan(int root, Account? before, Account account, Action ring, Action<string> report)
    {
        (_root, _before, _account, _ring, _report) = (root, before, account, ring, report);
        _boot = before is { IsOfDeadMachine: true } ? Account.BootTime() : 0;
    }

    /// <summary>Files and directories that could not be looked at.</summary>
    public int Faults => Volatile.Read(ref _faults);

    /// <summary>All files were looked at, and all suspects taken.</summary>
    public bool IsOver => _suspects.IsCompleted;

    public void Start()
    {
        _thread = new Thread(Run) { Name = "scan", IsBackground = true, Priority = ThreadPriority.BelowNormal };
        _thread.Start();
    }

    public bool TryTake(out Suspect suspect) => _suspects.TryTake(out suspect);

    /// <summary>
    /// False: the file is as it was, or is not to be carried. After the machine died lengths are not to be trusted, but whatever was not
    /// written since it was started again is as it was left.
    /// </summary>
    public bool IsSuspect(in Libc.Statx file)
    {
        if (_before is null || file.Modify.UnixNanoseconds < _boot)
            return false;
        var known = _before.Find(file);
        if (known is null)
            return file.Size > 0 && !_before.IsPartial;
        return (long)file.Size != known->Length || known->Next != AccountEntry.None || known->IsMixed != 0;
    }

    public void Dispose()
    {
        _stop.Cancel();
        _thread?.Join();
        while (_suspects.TryTake(out var suspect))
            _ = Libc.Close(suspect.Descriptor);
        _suspects.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        try
        {
            if (Underneath.StatTop(_root, out var top) == 0)
                _device = NodeTable.Device(top);
            Look(_root, [], 0);
            _suspects.CompleteAdding();
            _ring();
        }
        catch (OperationCanceledException)
        {
            // The next mount goes on.
        }
    }

    private void Look(int directory, byte[] path, int level)
    {
        var fd = level < LevelsMax ? Underneath.OpenAnew(directory) : -Errno.ELOOP;
        if (fd < 0)
        {
            Fault(path, -fd);
            return;
        }
        var below = new List<byte[]>();
        var found = new byte[path.Length + 1 + NodeSlot.NameMax];
        path.CopyTo(found, 0);
        found[path.Length] = (byte)'/';
        var at = path.Length == 0 ? 0 : path.Length + 1;
        var buffer = new byte[32 * 1024];
        fixed (byte* start = buffer)
        {
            nint length;
            while ((length = Libc.GetDents(fd, start, (nuint)buffer.Length)) > 0)
            {
                _stop.Token.ThrowIfCancellationRequested();
                for (var rest = buffer.AsSpan(0, (int)length); rest.Length > 19; rest = rest[BinaryPrimitives.ReadUInt16LittleEndian(rest[16..])..])
                {
                    var name = rest[19..BinaryPrimitives.ReadUInt16LittleEndian(rest[16..])];
                    name = name[..name.IndexOf((byte)0)];
                    if (name is [(byte)'.'] or [(byte)'.', (byte)'.'] || (level == 0 && HiddenName.Is(name)) || rest[18] is not (Regular or Directory or Unknown))
                        continue;
                    if (name.Length > NodeSlot.NameMax)
                        continue;
                    name.CopyTo(found.AsSpan(at));
                    Look(directory, start + length - rest.Length + 19, name, found.AsSpan(0, at + name.Length), below);
                }
            }
        }
        _ = Libc.Close(fd);
        foreach (var name in below)
        {
            fixed (byte* text = name)
            {
                var next = Libc.OpenAt(directory, text, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
                if (next < 0)
                    continue;
                Look(next, Join(path, name), level + 1);
                _ = Libc.Close(next);
            }
        }
    }

    // The text is the name with a NUL. Of a file that is as it was nothing is to be left behind: there may be very many.
    private void Look(int directory, byte* text, ReadOnlySpan<byte> name, ReadOnlySpan<byte> found, List<byte[]> below)
    {
        // What is gone by now was settled when it was removed.
        if (Underneath.Stat(directory, text, out var file) < 0)
            return;
        // Another file system mounted there is none of ours.
        if (NodeTable.Device(file) != _device)
            return;
        if ((file.Mode & 0xf000) == 0x4000)
        {
            below.Add([.. name, 0]);
            return;
        }
        if (!file.IsRegular || _account.Find(file) is not null || found.Length > HandleSlot.PathMax)
            return;
        if (!IsSuspect(file))
        {
            if (file.Size > 0)
                _ = _account.Take(file, found, (long)file.Size);
            return;
        }
        var fd = Libc.OpenAt(directory, text, Libc.O_NOFOLLOW | Libc.O_CLOEXEC | Libc.O_NONBLOCK | Libc.O_NOCTTY, 0);
        if (fd >= 0)
        {
            _suspects.Add(new Suspect(fd, found.ToArray()), _stop.Token);
            _ring();
            return;
        }
        Fault(found, Libc.Error);
        // It may be readable the next time.
        if (_before!.Find(file) is var known and not null)
            _ = _account.Take(file, found, known->Length);
    }

    private void Fault(ReadOnlySpan<byte> path, int error)
    {
        if (Interlocked.Increment(ref _faults) == 1)
            _report($"{(path.Length == 0 ? "the directory underneath" : System.Text.Encoding.UTF8.GetString(path))} cannot be read ({Errno.Text(error)}): what was written there while nothing was mounted is not carried; others that cannot be read are counted in the status");
    }

    private static byte[] Join(byte[] path, byte[] name) => path.Length == 0 ? name[..^1] : [.. path, (byte)'/', .. name.AsSpan(..^1)];
}
