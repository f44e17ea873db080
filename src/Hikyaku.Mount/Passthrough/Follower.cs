using System.Diagnostics;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>What a look at a file found.</summary>
internal enum Look
{
    Nothing,
    Growth,

    /// <summary>There is no room in the log for what it grew by.</summary>
    Stuck,

    /// <summary>It was cut underneath, and what is left is being saved.</summary>
    Saving,

    /// <summary>It is to be followed no longer.</summary>
    Done,
}

/// <summary>
/// Follows the growth of files that are written past us. A file that grows is looked at every millisecond; one that does not is left
/// alone, and the kernel tells when it is written to again. One thread only, but for <see cref="Ring"/>.
/// </summary>
internal sealed unsafe class Follower : IDisposable
{
    // Watching again costs less than a few looks in vain, and wakes at once.
    private const int QuietLooks = 2;
    private const int EventBytes = 16;

    private static readonly long Soon = Stopwatch.Frequency / 1000;
    private static readonly long LaterWhenStuck = Stopwatch.Frequency / 20;
    private static readonly long LaterWhenUnwatched = Stopwatch.Frequency / 10;

    private readonly Func<Backing, Look> _look;
    private readonly List<Backing> _hot = [];
    private readonly Dictionary<int, Backing> _watched = [];
    private readonly int _inotify = Libc.INotifyInit(Libc.O_CLOEXEC | Libc.O_NONBLOCK);
    private readonly int _bell = Libc.EventFd(0, Libc.O_CLOEXEC | Libc.O_NONBLOCK);
    private long _due = long.MaxValue;
    private long _notBefore;

    public Follower(Func<Backing, Look> look) => _look = look;

    /// <summary>From any thread: makes <see cref="Wait"/> return.</summary>
    public void Ring()
    {
        var one = 1ul;
        _ = Libc.Write(_bell, (byte*)&one, sizeof(ulong));
    }

    /// <summary>Waits until the device has something, a file was written to, somebody rings, a look is due, or the time is over.</summary>
    /// <returns>Whether the device has something.</returns>
    public bool Wait(int device, int milliseconds, out bool isRung)
    {
        if (_due != long.MaxValue)
        {
            var left = (int)Math.Clamp((Math.Max(_due, _notBefore) - Stopwatch.GetTimestamp() + Soon - 1) / Soon, 0, 1000);
            milliseconds = milliseconds < 0 ? left : Math.Min(milliseconds, left);
        }
        var waiting = stackalloc Libc.PollFd[3];
        waiting[0] = new Libc.PollFd { Descriptor = device, Events = Libc.POLLIN };
        waiting[1] = new Libc.PollFd { Descriptor = _inotify, Events = Libc.POLLIN };
        waiting[2] = new Libc.PollFd { Descriptor = _bell, Events = Libc.POLLIN };
        isRung = false;
        if (Libc.Poll(waiting, 3, milliseconds) <= 0)
            return false;
        if (waiting[1].Returned != 0)
            TakeEvents();
        if (waiting[2].Returned != 0)
        {
            ulong rung;
            isRung = Libc.Read(_bell, (byte*)&rung, sizeof(ulong)) > 0;
        }
        return waiting[0].Returned != 0;
    }

    /// <summary>Looks at it from now on, until nothing has come for a while.</summary>
    public void Heat(Backing backing)
    {
        backing.Quiet = 0;
        backing.Due = _due = 0;
        if (backing.IsHot)
            return;
        backing.IsHot = true;
        _hot.Add(backing);
    }

    /// <summary>Looks at what is due.</summary>
    public void LookAround()
    {
        if (_due == long.MaxValue)
            return;
        var now = Stopwatch.GetTimestamp();
        if (now < Math.Max(_due, _notBefore))
            return;
        _due = long.MaxValue;
        for (var i = 0; i < _hot.Count;)
        {
            var backing = _hot[i];
            if (backing.Due <= now && !Follow(backing, now))
            {
                backing.IsHot = false;
                _hot[i] = _hot[^1];
                _hot.RemoveAt(_hot.Count - 1);
                continue;
            }
            _due = Math.Min(_due, backing.Due);
            i++;
        }
        // However many grow, programs that ask us for something get most of the time.
        var end = Stopwatch.GetTimestamp();
        _notBefore = end + (2 * (end - now));
    }

    /// <summary>Nothing of it is looked at any more.</summary>
    public void Forget(Backing backing)
    {
        if (backing.Watch >= 0 && _watched.Remove(backing.Watch))
            _ = Libc.INotifyRemoveWatch(_inotify, backing.Watch);
        backing.Watch = -1;
    }

    public void Dispose()
    {
        _ = Libc.Close(_inotify);
        _ = Libc.Close(_bell);
    }

    // False: it rests, and the kernel will tell.
    private bool Follow(Backing backing, long now)
    {
        switch (_look(backing))
        {
            case Look.Done:
                return false;
            case Look.Stuck or Look.Saving:
                backing.Due = now + LaterWhenStuck;
                return true;
            case Look.Growth:
                backing.Quiet = 0;
                break;
            default:
                backing.Quiet++;
                break;
        }
        backing.Due = now + Soon;
        if (backing.Quiet < QuietLooks || backing.IsCutting)
            return true;
        var isArmed = Arm(backing);
        // What came just before it was armed nobody will tell of.
        if (_look(backing) is not Look.Nothing)
        {
            backing.Quiet = 0;
            return true;
        }
        if (!isArmed)
            backing.Due = now + LaterWhenUnwatched;
        return !isArmed;
    }

    private bool Arm(Backing backing)
    {
        var path = stackalloc byte[Underneath.PathOfDescriptorMax];
        var watch = Libc.INotifyAddWatch(_inotify, Underneath.PathOfDescriptor(backing.Descriptor, path), Libc.IN_MODIFY | Libc.IN_ONESHOT);
        if (watch < 0)
            return false;
        backing.Watch = watch;
        _watched[watch] = backing;
        return true;
    }

    private void TakeEvents()
    {
        const int capacity = 16 * 1024;
        var buffer = stackalloc byte[capacity];
        nint length;
        while ((length = Libc.Read(_inotify, buffer, capacity)) > 0)
        {
            for (var at = 0; at + EventBytes <= length; at += EventBytes + *(int*)(buffer + at + 12))
            {
                if ((*(uint*)(buffer + at + 4) & Libc.IN_Q_OVERFLOW) != 0)
                {
                    foreach (var backing in _watched.Values)
                        Heat(backing);
                }
                else if (_watched.Remove(*(int*)(buffer + at), out var written))
                {
                    written.Watch = -1;
                    Heat(written);
                }
            }
        }
    }
}
