namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Several pumps may append to the same files. From the moment one notes their lengths until its chunk is done, no other may
/// write, nor may a finished slice be put away; and before all of them have finished what their journals hold, nobody writes anything new.
/// </summary>
internal sealed class FileGate
{
    private readonly Lock _lock = new();
    private readonly List<FileOutput> _outputs = [];
    private object? _owner;
    private readonly HashSet<string> _repeating = new(StringComparer.Ordinal);

    /// <summary>Announces a pump that will write here, before any of them begins.</summary>
    public void Expect(string pump)
    {
        lock (_lock)
            _repeating.Add(pump);
    }

    public void Join(FileOutput output)
    {
        lock (_lock)
            _outputs.Add(output);
    }

    /// <summary>The pump has finished repeating.</summary>
    public void EndRepeating(string pump)
    {
        bool changed;
        lock (_lock)
            changed = _repeating.Remove(pump);
        if (changed)
            Pulse();
    }

    public bool TryEnter(object output)
    {
        lock (_lock)
        {
            if (_repeating.Count > 0 || (_owner is not null && _owner != output))
                return false;
            _owner = output;
            return true;
        }
    }

    public void Exit(object output, bool pulse = true)
    {
        lock (_lock)
        {
            if (_owner != output)
                return;
            _owner = null;
        }

        if (pulse)
            Pulse();
    }

    public void Leave(FileOutput output)
    {
        lock (_lock)
            _outputs.Remove(output);
        Exit(output);
    }

    private void Pulse()
    {
        FileOutput[] outputs;
        lock (_lock)
            outputs = [.. _outputs];
        foreach (var output in outputs)
            output.Changed();
    }
}
