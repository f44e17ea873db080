using System.Runtime.InteropServices;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// A chunk for one server or several: each gets a part, of all lines or of those that the hash gives it. Done when every part is
/// acknowledged.
/// </summary>
internal sealed class ForwardChunk(ForwardOutput output) : Chunk
{
    // Of all parts together: acknowledgements would be many where lines are divided among many.
    private const int DividedBytes = 1 << 20;

    private readonly List<ForwardPart> _parts = [];
    private readonly Stack<ForwardPart> _spare = new();
    private readonly Dictionary<LineSource, ForwardPart> _shares = [];
    private HashKey? _key;
    private LineSource? _last;
    private ForwardPart? _lastPart;
    private bool _mustBeginAnew;
    private int _waiting; // parts that are not acknowledged

    public ReadOnlySpan<ForwardPart> Parts => CollectionsMarshal.AsSpan(_parts);

    public bool IsDivided => _key is not null;

    public override bool IsFull
    {
        get
        {
            var length = 0;
            foreach (var part in Parts)
            {
                if (part.IsFull)
                    return true;
                length += part.Length;
            }

            return _parts.Count > 1 && length >= DividedBytes;
        }
    }

    public override bool IsOverfull
    {
        get
        {
            foreach (var part in Parts)
            {
                if (part.IsOverfull)
                    return true;
            }

            return false;
        }
    }

    // Packed for a server that takes the compact form, over a connection that is gone; whoever is there now may not take it.
    public override bool MustBeginAnew => _mustBeginAnew;

    /// <summary>False for one that grew by a huge line and should not be kept for reuse.</summary>
    public bool IsWorthKeeping => !_parts.Exists(static p => !p.IsWorthKeeping);

    /// <param name="receivers">A part for each.</param>
    /// <param name="key">What divides the lines among them; null: each gets all.</param>
    public void Begin(List<Receiver> receivers, HashKey? key)
    {
        Clear(key);
        foreach (var receiver in receivers)
            AddPart().Begin(receiver, receiver, receiver.Server.Weight, seat: -1, receiver.TakesCompact, mayHaveArrived: false);
    }

    /// <summary>Begins a repetition of one of which the journal kept this.</summary>
    public void Begin(ReadOnlySpan<byte> note)
    {
        var reader = new MessagePackReader(note);
        Clear(ForwardNote.TryReadHash(ref reader, out var key) ? key : null);
        while (ForwardNote.TryReadServer(ref reader, out var server, out var compact))
        {
            var home = output.Find(server);
            var (weight, now) = (1, home);
            if (IsDivided)
            {
                ForwardNote.ReadShare(ref reader, out weight, out var other);
                now = other.IsEmpty ? home : output.Find(other);
            }

            AddPart().Begin(now, home, weight, now == home ? -1 : _parts.Count - 1, compact, mayHaveArrived: true);
        }
    }

    /// <summary>Makes the messages; those of parts without lines are not needed.</summary>
    public void Seal(ulong lowest)
    {
        _waiting = 0;
        foreach (var part in Parts)
        {
            if (part.Lines > 0)
                _waiting++;
        }

        foreach (var part in Parts)
        {
            if (part.Lines > 0)
                part.Seal(this, lowest);
        }
    }

    /// <summary>One part more is acknowledged. From any thread.</summary>
    public void NotePartDone()
    {
        if (Interlocked.Decrement(ref _waiting) == 0)
            Done = true;
    }

    public override bool TryWriteNote(ByteBuffer target)
    {
        // Begun while the line was not there yet: its server may be gone by now, or another one may answer in its place.
        foreach (var part in Parts)
        {
            if (part.CanGo || (IsDivided && part.Lines == 0))
                continue;
            _mustBeginAnew = output.CanBegin();
            return false;
        }

        WriteNote(target, null, null);
        return true;
    }

    /// <summary>The note as it is, or as it would be with one part at another server.</summary>
    public void WriteNote(ByteBuffer target, ForwardPart? moved, Receiver? to)
    {
        if (_key is { } key)
            ForwardNote.WriteHash(target, key);
        foreach (var part in Parts)
        {
            var now = part == moved ? to! : part.Receiver;
            ForwardNote.WriteServer(target, (IsDivided ? part.Home : now).NameBytes, part == moved ? to!.TakesCompact : part.IsCompact);
            if (IsDivided)
                ForwardNote.WriteShare(target, part.Weight, now == part.Home ? default : now.NameBytes);
        }
    }

    /// <summary>Takes over from <paramref name="again"/>, the same lines, the part that goes elsewhere.</summary>
    public ForwardPart Take(ForwardChunk again, ForwardPart moved)
    {
        var index = _parts.IndexOf(moved);
        // The old one is not used again: it may be on its way at this moment.
        (_parts[index], again._parts[index]) = (again._parts[index], new ForwardPart(output));
        _parts[index].MayHaveArrived = false;
        return _parts[index];
    }

    protected override void Pack(in LineBlock lines)
    {
        if (!IsDivided)
        {
            foreach (var part in Parts)
                part.Pack(lines);
            return;
        }

        if (!ReferenceEquals(lines.Source, _last))
        {
            _last = lines.Source;
            if (!_shares.TryGetValue(_last, out _lastPart))
                _shares.Add(_last, _lastPart = PartOf(_last));
        }

        _lastPart!.Pack(lines);
    }

    private ForwardPart PartOf(LineSource source)
    {
        var hash = ServerHash.OfSource(source, _key!.Value);
        var best = _parts[0];
        var highest = double.NegativeInfinity;
        foreach (var part in Parts)
        {
            var draw = ServerHash.Draw(part.Home.NameHash, part.Weight, hash);
            if (draw > highest)
                (best, highest) = (part, draw);
        }

        return best;
    }

    private ForwardPart AddPart()
    {
        var part = _spare.TryPop(out var spare) ? spare : new ForwardPart(output);
        _parts.Add(part);
        return part;
    }

    private void Clear(HashKey? key)
    {
        Reset();
        foreach (var part in Parts)
            _spare.Push(part);
        _parts.Clear();
        _shares.Clear();
        _last = null;
        _key = key;
        _mustBeginAnew = false;
    }
}
