using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Simulation;

/// <summary>A line that a program has written, or is writing.</summary>
internal sealed class WrittenLine(Application writer, int number, string text)
{
    public Application Writer => writer;
    public int Number => number;
    public string Text => text;

    /// <summary>Sequence of the record with its last byte; 0: not all of it is accepted.</summary>
    public ulong Record { get; set; }

    /// <summary>Whether any byte of it was handed over.</summary>
    public bool IsBegun { get; set; }

    /// <summary>The power went before it was durable: it may be missing, or there in part.</summary>
    public bool MayBeMissing { get; set; }

    /// <summary>The power went where the commit level does not promise that nothing arrives twice.</summary>
    public bool MayBeDouble { get; set; }
}

/// <summary>A program that writes numbered lines to one file: whole ones, halves, several at once, sometimes long ones.</summary>
internal sealed class Application
{
    private const string Filler = "abcdefghijklmnopqrstuvwxyz0123456789 .-/";
    private readonly Scheduler _scheduler;
    private readonly SimulatedMount _mount;
    private readonly Queue<(byte[] Data, List<WrittenLine> Ends)> _writes = new();
    private readonly int _style;
    private readonly int _longLine;
    private readonly bool _floods;
    private ulong _handle;
    private int _life;

    public Application(string name, Machine machine, Scheduler scheduler)
    {
        Name = name;
        Machine = machine;
        _scheduler = scheduler;
        _mount = machine.Mount!;
        _style = scheduler.Dice.Next(4);
        _longLine = scheduler.Dice.Next(3) == 0 ? 60_000 : 300;
        Path = $"{name}.log";
        _floods = scheduler.Dice.Next(12) == 0;
        _mount.PowerLost += LosePower;
    }

    public string Name { get; }
    public string Path { get; }
    public Machine Machine { get; }
    public List<WrittenLine> Lines { get; } = [];
    public bool IsIdle { get; private set; } = true;
    public bool IsStopped { get; set; }

    /// <summary>Writes a few lines, and then some more, until it is told to stop.</summary>
    public void Go()
    {
        IsIdle = false;
        var life = _life;
        _scheduler.After(TimeSpan.FromMilliseconds(_scheduler.Dice.Next(1, 400)), null, () =>
        {
            if (life != _life)
                return;
            if (IsStopped)
            {
                IsIdle = true;
                return;
            }

            if (_floods && _scheduler.Dice.Next(6) == 0 && Lines.Count < 30_000)
                Flood();
            else
                Compose(_scheduler.Dice.Next(1, 12));
            WriteNext();
        });
    }

    /// <summary>One more line, after everything else.</summary>
    public void WriteLast()
    {
        IsIdle = false;
        Compose(1);
        WriteNext();
    }

    private void Compose(int count)
    {
        var bytes = new List<byte>();
        var ends = new List<WrittenLine>();
        for (var i = 0; i < count; i++)
        {
            var line = NewLine();
            var text = Encoding.UTF8.GetBytes(line.Text + "\n");
            if (_style == 1 && _scheduler.Dice.Next(2) == 0)
            {
                // Cut anywhere, as a buffer that is full.
                var cut = _scheduler.Dice.Next(1, text.Length);
                bytes.AddRange(text[..cut]);
                line.IsBegun = true;
                Flush(ends);
                bytes.AddRange(text[cut..]);
            }
            else
            {
                bytes.AddRange(text);
            }

            ends.Add(line);
            if (_style is 0 or 1)
                Flush(ends);
        }

        Flush(ends);
        void Flush(List<WrittenLine> finished)
        {
            if (bytes.Count == 0)
                return;
            _writes.Enqueue(([.. bytes], [.. finished]));
            bytes.Clear();
            finished.Clear();
        }
    }

    // Very many short lines at once, or one without an end for a multiple of what is read at a time.
    private void Flood()
    {
        var bytes = new List<byte>();
        var ends = new List<WrittenLine>();
        if (_scheduler.Dice.Next(2) == 0)
        {
            var count = _mount.Quota < 1 << 20 ? 4_000 : 12_000;
            for (var i = 0; i < count; i++)
                Add(new WrittenLine(this, Lines.Count, $"{Name}:{Lines.Count}:#"), "\n");
            _writes.Enqueue(([.. bytes], ends));
            return;
        }

        var begin = $"{Name}:{Lines.Count}:";
        var length = (_scheduler.Dice.Next(1, 4) * (256 << 10)) - _scheduler.Dice.Next(2);
        Add(new WrittenLine(this, Lines.Count, begin + new string('z', length - begin.Length - 1) + "#"), "");
        foreach (var piece in bytes.Chunk(64 << 10))
            _writes.Enqueue((piece, []));
        _writes.Enqueue(([(byte)'\n'], ends));
        ends[0].IsBegun = true;
        void Add(WrittenLine line, string end)
        {
            Lines.Add(line);
            ends.Add(line);
            bytes.AddRange(Encoding.UTF8.GetBytes(line.Text + end));
        }
    }

    private WrittenLine NewLine()
    {
        var length = _scheduler.Dice.Next(20) == 0 ? _scheduler.Dice.Next(_longLine) : _scheduler.Dice.Next(80);
        var text = new StringBuilder($"{Name}:{Lines.Count}:", length + 20);
        for (var i = 0; i < length; i++)
            text.Append(Filler[_scheduler.Dice.Next(Filler.Length)]);
        var line = new WrittenLine(this, Lines.Count, text.Append('#').ToString());
        Lines.Add(line);
        return line;
    }

    private void WriteNext()
    {
        var life = _life;
        if (_handle == 0)
            _handle = _mount.NewHandle();
        if (_writes.TryPeek(out var write))
        {
            foreach (var line in write.Ends)
                line.IsBegun = true;
            _mount.Write(Path, _handle, write.Data, (stored, sequence) =>
            {
                if (life != _life)
                    return;
                if (stored)
                {
                    _writes.Dequeue();
                    foreach (var line in write.Ends)
                        line.Record = sequence;
                }

                _scheduler.After(TimeSpan.FromMilliseconds(stored ? _scheduler.Dice.Next(3) : 100), null, () =>
                {
                    if (life == _life)
                        WriteNext();
                });
            });
        }
        else if (_style != 3 || _scheduler.Dice.Next(3) > 0)
        {
            Go();
        }
        else
        {
            Close(life);
        }
    }

    private void Close(int life) => _mount.Close(Path, _handle, (stored, _) =>
    {
        if (life != _life)
            return;
        if (!stored)
        {
            _scheduler.After(TimeSpan.FromMilliseconds(100), null, () => Close(life));
            return;
        }

        _handle = 0;
        Go();
    });

    // The program is gone with its machine; another one writes to the file of the same name later.
    private void LosePower()
    {
        var isPromised = _mount.Level == CommitLevel.Strict;
        foreach (var line in Lines)
        {
            if (line.Record == 0 || (!isPromised && line.Record >= _mount.Committed))
                line.MayBeMissing = true;
            line.MayBeDouble |= !isPromised;
        }

        var life = ++_life;
        _writes.Clear();
        _handle = 0;
        IsIdle = false;
        _scheduler.After(TimeSpan.FromSeconds(21), null, () =>
        {
            if (life == _life)
                Go();
        });
    }
}
