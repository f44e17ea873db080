using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>
/// How far the bytes of the files underneath are accounted for: what a file is longer by at the next mount was written while nothing
/// was mounted. One file, mapped and shared, so that every store survives a kill. Each mount begins a new one, which takes the place
/// of the one before once every file was looked at. From any thread.
/// </summary>
internal sealed unsafe class Account : IDisposable
{
    private const string CompleteName = "account";
    private const string UnfinishedName = "account.new";
    private const string MergedName = "account.merged";
    private const ulong Magic = 0x756F_6363_416B_6948; // "HikAccou"
    private const uint KnownVersion = 1;
    private const int HeaderBytes = 4096;
    private const long MapBytes = 1L << 30;
    private const long StepBytes = 1 << 20;
    private const int MarkBytesMax = 64;

    private readonly int _fd;
    private readonly byte* _start;
    private readonly string _path;
    private readonly Lock _gate = new();
    private readonly Dictionary<(ulong Device, ulong Inode), nint> _files = [];

    private readonly ulong _device;
    private bool _isDisposed;

    private Account(int fd, byte* start, string path, ulong device)
    {
        (_fd, _path, _device) = (fd, path, device);
        _start = start;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Head
    {
        public ulong Magic;
        public uint Version;
        public uint IsComplete;
        public uint IsClean;
        public uint IsPartial;
        public Guid Boot;
        public long End;
        public long Allocated;
        public long IsFull;
    }

    private Head* Header => (Head*)_start;

    /// <summary>Every file was looked at.</summary>
    public bool IsComplete => Header->IsComplete != 0;

    /// <summary>There may be files that stood there before the mount and are not in here.</summary>
    public bool IsPartial => Header->IsPartial != 0 || Header->IsFull != 0;

    /// <summary>Whether lengths may be newer or older than the files', because the machine died.</summary>
    public bool IsOfDeadMachine => Header->IsClean == 0 && Header->Boot != Boot();

    /// <summary>The account of the last mount, and whether it had come to look at every file; null if there is none that can be used.</summary>
    /// <param name="directory">Where it lies.</param>
    /// <param name="device">Of the directory underneath; see <see cref="DeviceOf(ulong)"/>.</param>
    /// <param name="report">For sentences to people.</param>
    public static Account? OpenLast(string directory, ulong device, Action<string> report) =>
        TryOpen(Path.Combine(directory, UnfinishedName), device, report) ?? TryOpen(Path.Combine(directory, CompleteName), device, report);

    /// <summary>What was known before the mount of this unfinished account.</summary>
    /// <inheritdoc cref="OpenLast"/>
    public static Account? OpenBefore(string directory, ulong device, Action<string> report) => TryOpen(Path.Combine(directory, CompleteName), device, report);

    /// <summary>A new, empty account for a new mount.</summary>
    /// <param name="directory">Where it lies.</param>
    /// <param name="device">Of the directory underneath; see <see cref="DeviceOf(ulong)"/>.</param>
    /// <param name="report">For sentences to people.</param>
    /// <param name="before">What is known; null = nothing, and what is there now is not to be carried.</param>
    /// <exception cref="MountException">There is no room for it.</exception>
    public static Account Begin(string directory, ulong device, Action<string> report, out Account? before)
    {
        var (complete, unfinished) = (Path.Combine(directory, CompleteName), Path.Combine(directory, UnfinishedName));
        before = TryOpen(complete, device, report);
        // The last mount ended before it had looked at every file: what it did not look at is as it was before that.
        if (TryOpen(unfinished, device, report) is { } last)
        {
            var path = Path.Combine(directory, MergedName);
            using (var merged = Create(path, device))
            {
                merged.Header->IsFull = last.Header->IsFull;
                (merged.Header->IsPartial, merged.Header->IsComplete) = (before is null || before.IsPartial || last.IsPartial ? 1u : 0, 1);
                (merged.Header->Boot, merged.Header->IsClean) = (last.Header->Boot, last.Header->IsClean);
                if ((before is not null && !merged.TryCopy(before)) || !merged.TryCopy(last))
                    throw new MountException($"no room on the disk for {path}");
            }
            last.Dispose();
            before?.Dispose();
            File.Move(path, complete, overwrite: true);
            File.Delete(unfinished);
            before = TryOpen(complete, device, report);
        }
        var account = Create(unfinished, device);
        account.Header->IsPartial = before is null ? 1u : 0;
        account.Header->Boot = Boot();
        return account;
    }

    /// <summary>Nothing is to be known any more.</summary>
    public static void Remove(string directory)
    {
        File.Delete(Path.Combine(directory, UnfinishedName));
        File.Delete(Path.Combine(directory, CompleteName));
    }

    /// <summary>Every file was looked at: this account takes the place of the one before.</summary>
    public void Complete()
    {
        Header->IsPartial = 0;
        Header->IsComplete = 1;
        _ = Libc.FDataSync(_fd);
        File.Move(_path, Path.Combine(Path.GetDirectoryName(_path)!, CompleteName), overwrite: true);
    }

    /// <summary>It is the account of one more mount.</summary>
    public void GoOn() => (Header->Boot, Header->IsClean) = (Boot(), 0);

    /// <summary>The mount has ended, and everything is underneath.</summary>
    public void End()
    {
        Header->IsClean = 1;
        _ = Libc.FDataSync(_fd);
    }

    /// <summary>The number of a device may be another after a boot. That of the directory itself, on which nearly all files are, is 0 here.</summary>
    private ulong DeviceOf(ulong device) => device == _device ? 0 : device;

    /// <summary>Null = it is not known.</summary>
    public AccountEntry* Find(ulong device, ulong inode, long birth)
    {
        lock (_gate)
            return _files.TryGetValue((DeviceOf(device), inode), out var at) && ((AccountEntry*)at)->Birth == birth ? (AccountEntry*)at : null;
    }

    /// <inheritdoc cref="Find(ulong, ulong, long)"/>
    public AccountEntry* Find(in Libc.Statx file) => Find(NodeTable.Device(file), file.Inode, file.Birth.UnixNanoseconds);

    /// <summary>What is known of the file, from now on if it was not; null = there is no room.</summary>
    /// <param name="file">The file.</param>
    /// <param name="path">Its path from the top, for what it may grow by.</param>
    /// <param name="length">Up to where it is accounted for.</param>
    public AccountEntry* Take(in Libc.Statx file, ReadOnlySpan<byte> path, long length)
    {
        lock (_gate)
        {
            if (Find(file) is var known and not null)
                return known;
            var value = new AccountEntry
            {
                Device = DeviceOf(NodeTable.Device(file)), Inode = file.Inode, Birth = file.Birth.UnixNanoseconds, Length = length, Next = AccountEntry.None,
            };
            // The file that had this inode number is gone.
            return _files.TryGetValue((value.Device, value.Inode), out var at) && TryReplace((AccountEntry*)at, value, path) ? (AccountEntry*)at : Add(value, path);
        }
    }

    /// <summary>Others wrote to the file what we do not account for: what we put into it from now on stands in pieces.</summary>
    /// <param name="file">The file.</param>
    /// <param name="length">What lies below is ours.</param>
    public void Mix(AccountEntry* file, long length)
    {
        lock (_gate)
        {
            // Pieces from when it was mixed before are accounted for, and may since have been cut off and written anew.
            for (var at = First; file->Sequence != 0 && at < Header->End; at += ((AccountEntry*)(_start + at))->Size)
            {
                var piece = (AccountEntry*)(_start + at);
                if (IsPieceOf(piece, file))
                    Volatile.Write(ref piece->Birth, -1);
            }
            if (length < file->Length)
                (file->MarkBytes, file->Length) = (0, length);
            file->IsMixed = 1;
            Volatile.Write(ref file->Next, AccountEntry.None);
        }
    }

    /// <summary>The keeper put this behind bytes of others, up to this record.</summary>
    public void AddPiece(AccountEntry* file, long from, long to, ulong sequence)
    {
        lock (_gate)
        {
            _ = Add(*file with { IsPiece = 1, Next = from, Length = to, Sequence = sequence }, []);
            file->Sequence = sequence;
        }
    }

    /// <summary>What the keeper put behind bytes of others, in the order of the file.</summary>
    public Queue<(long From, long To)> PiecesOf(AccountEntry* file)
    {
        var pieces = new List<(long From, long To)>();
        lock (_gate)
        {
            for (var at = First; at < Header->End; at += ((AccountEntry*)(_start + at))->Size)
            {
                var piece = (AccountEntry*)(_start + at);
                if (IsPieceOf(piece, file))
                    pieces.Add((piece->Next, piece->Length));
            }
        }
        pieces.Sort();
        return new Queue<(long From, long To)>(pieces);
    }

    /// <summary>The file is as long as that now, and all of it accounted for.</summary>
    /// <param name="entry">The file.</param>
    /// <param name="length">Its length.</param>
    /// <param name="descriptor">For reading, to mark the place; -1 = without.</param>
    public static void Settle(AccountEntry* entry, long length, int descriptor)
    {
        (entry->MarkBytes, entry->IsMixed) = (0, 0);
        entry->Length = length;
        Volatile.Write(ref entry->Next, AccountEntry.None);
        if (descriptor < 0 || length == 0)
            return;
        var bytes = (int)Math.Min(MarkBytesMax, length);
        if (TrySum(descriptor, length - bytes, bytes, out var sum))
            (entry->MarkSum, entry->MarkBytes) = (sum, (uint)bytes);
    }

    /// <summary>Bytes below its length were written over, up to this offset.</summary>
    public static void NoteOverwritten(AccountEntry* entry, long to)
    {
        if (to > entry->Length - entry->MarkBytes)
            entry->MarkBytes = 0;
    }

    /// <summary>The file was made longer, and ends with these bytes.</summary>
    public static void Extend(AccountEntry* entry, long length, ReadOnlySpan<byte> end)
    {
        end = end[^Math.Min(MarkBytesMax, end.Length)..];
        entry->MarkBytes = 0;
        entry->Length = length;
        entry->MarkSum = Sum(end);
        entry->MarkBytes = (uint)end.Length;
        Volatile.Write(ref entry->Next, AccountEntry.None);
    }

    /// <summary>Whether what lies before the accounted length is what was there; also when that is not known.</summary>
    public static bool IsSame(AccountEntry* entry, int descriptor) =>
        entry->MarkBytes == 0 || entry->MarkBytes > MarkBytesMax || entry->Next != AccountEntry.None
        || (TrySum(descriptor, entry->Length - entry->MarkBytes, (int)entry->MarkBytes, out var sum) && sum == entry->MarkSum);

    public void Dispose()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        _ = Libc.MUnmap((nint)_start, (nuint)MapBytes);
        _ = Libc.Close(_fd);
    }

    private static long First => HeaderBytes;

    private static Account? TryOpen(string path, ulong device, Action<string> report)
    {
        var fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return Libc.Error == Errno.ENOENT ? null : throw Failure("open", path, Libc.Error);
        if (Libc.LSeek(fd, 0, Libc.SEEK_END) == MapBytes)
        {
            var account = Map(fd, path, device);
            var head = account.Header;
            if (head->Magic == Magic && head->Version == KnownVersion && head->End is >= HeaderBytes and <= MapBytes)
            {
                account.Load();
                return account;
            }
            account.Dispose();
        }
        else
        {
            _ = Libc.Close(fd);
        }
        report($"{path} is of another version of hikyaku, or damaged, and is dropped: what was written while nothing was mounted is not carried this time");
        File.Delete(path);
        return null;
    }

    private static Account Create(string path, ulong device)
    {
        File.Delete(path);
        var fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, 0x180 /* 0600 */);
        if (fd < 0)
            throw Failure("create", path, Libc.Error);
        var error = Libc.FTruncate(fd, MapBytes) != 0 ? Libc.Error : Libc.PosixFAllocate(fd, 0, StepBytes);
        if (error != 0)
        {
            _ = Libc.Close(fd);
            File.Delete(path);
            throw Failure("allocate", path, error);
        }
        var account = Map(fd, path, device);
        *account.Header = new Head { Version = KnownVersion, End = HeaderBytes, Allocated = StepBytes };
        Volatile.Write(ref account.Header->Magic, Magic);
        return account;
    }

    private static Account Map(int fd, string path, ulong device)
    {
        var start = Libc.MMap(0, (nuint)MapBytes, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, fd, 0);
        if (start != -1)
            return new Account(fd, (byte*)start, path, device);
        var error = Libc.Error;
        _ = Libc.Close(fd);
        throw Failure("map", path, error);
    }

    private static MountException Failure(string what, string path, int errno) => new($"cannot {what} {path}: {Errno.Text(errno)}");

    // The later entry of a file counts. After a loss of power not all of it may have reached the disk.
    private void Load()
    {
        const int usual = 128;

        // Growing it step by step would leave as much behind again.
        _files.EnsureCapacity((int)((Header->End - First) / usual));
        for (var at = First; at < Header->End;)
        {
            var entry = (AccountEntry*)(_start + at);
            if (entry->Size < sizeof(AccountEntry) || entry->Size % 8 != 0 || at + entry->Size > Header->End
                || entry->PathLength > entry->Size - sizeof(AccountEntry))
            {
                (Header->End, Header->IsPartial) = (at, 1);
                return;
            }
            if (entry->IsPiece == 0 && entry->Birth != -1)
                _files[(entry->Device, entry->Inode)] = (nint)entry;
            at += entry->Size;
        }
    }

    private bool TryCopy(Account other)
    {
        var bytes = other.Header->End - First;
        if (!TryAllocate(bytes))
            return false;
        Buffer.MemoryCopy(other._start + First, _start + Header->End, bytes, bytes);
        Header->End += bytes;
        return true;
    }

    // Under the gate. A kill in its midst leaves an entry of no file.
    private static bool TryReplace(AccountEntry* entry, in AccountEntry value, ReadOnlySpan<byte> path)
    {
        if (entry->Size - sizeof(AccountEntry) < path.Length)
            return false;
        Volatile.Write(ref entry->Birth, -1);
        (entry->Length, entry->Next, entry->Sequence) = (value.Length, value.Next, 0);
        (entry->MarkBytes, entry->IsMixed, entry->PathLength) = (0, 0, (ushort)path.Length);
        path.CopyTo(new Span<byte>((byte*)entry + sizeof(AccountEntry), path.Length));
        Volatile.Write(ref entry->Birth, value.Birth);
        return true;
    }

    // Under the gate. An entry counts once the end is behind it.
    private AccountEntry* Add(in AccountEntry value, ReadOnlySpan<byte> path)
    {
        var size = (sizeof(AccountEntry) + path.Length + 7) & ~7;
        if (!TryAllocate(size))
        {
            Header->IsFull = 1;
            return null;
        }
        var entry = (AccountEntry*)(_start + Header->End);
        *entry = value;
        (entry->Size, entry->PathLength) = ((uint)size, (ushort)path.Length);
        path.CopyTo(new Span<byte>((byte*)entry + sizeof(AccountEntry), path.Length));
        Volatile.Write(ref Header->End, Header->End + size);
        if (entry->IsPiece == 0)
            _files[(entry->Device, entry->Inode)] = (nint)entry;
        return entry;
    }

    private bool TryAllocate(long bytes)
    {
        while (Header->End + bytes > Header->Allocated)
        {
            if (Header->Allocated + StepBytes > MapBytes)
                return false;
            var error = Libc.PosixFAllocate(_fd, Header->Allocated, StepBytes);
            if (error == Errno.EINTR)
                continue;
            if (error != 0)
                return false;
            Header->Allocated += StepBytes;
        }
        return true;
    }

    private static bool IsPieceOf(AccountEntry* piece, AccountEntry* file) =>
        piece->IsPiece != 0 && piece->Device == file->Device && piece->Inode == file->Inode && piece->Birth == file->Birth;

    private static bool TrySum(int descriptor, long offset, int bytes, out uint sum)
    {
        var buffer = stackalloc byte[MarkBytesMax];
        var isRead = offset >= 0 && Underneath.Peek(descriptor, buffer, bytes, offset) == bytes;
        sum = isRead ? Sum(new ReadOnlySpan<byte>(buffer, bytes)) : 0;
        return isRead;
    }

    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        var sum = uint.MaxValue;
        foreach (var value in bytes)
            sum = BitOperations.Crc32C(sum, value);
        return sum;
    }

    /// <summary>When the machine was started, in Unix nanoseconds.</summary>
    public static long BootTime()
    {
        const string key = "btime ";
        var line = File.ReadLines("/proc/stat").FirstOrDefault(static line => line.StartsWith(key, StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line.AsSpan(key.Length), CultureInfo.InvariantCulture) * 1_000_000_000;
    }

    private static Guid Boot() => Guid.TryParse(File.ReadAllText("/proc/sys/kernel/random/boot_id"), out var boot) ? boot : Guid.Empty;
}
