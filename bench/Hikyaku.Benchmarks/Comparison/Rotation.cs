namespace Hikyaku.Benchmarks.Comparison;

internal enum RotationMethod
{
    /// <summary>Files get another name, and the writers are told.</summary>
    Rename,

    /// <summary>The same, and the file of the rotation before is deleted.</summary>
    RenameAndDelete,

    /// <summary>Files are copied and emptied; the writers never notice.</summary>
    CopyTruncate,
}

/// <summary>Rotates all *.log of a directory, as logrotate with dateext does: a rotated file keeps the name it gets.</summary>
internal sealed class Rotation(RotationMethod method, string directory)
{
    public const string Pattern = "*.log";
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(0.5);

    private int _times;

    public static string Name(RotationMethod method) => method switch
    {
        RotationMethod.Rename => "rename",
        RotationMethod.RenameAndDelete => "rename, delete",
        _ => "copytruncate",
    };

    /// <summary>Rotates every half second while the time is not over.</summary>
    public void Run(int writers, TimeSpan time, CancellationToken cancel)
    {
        for (var at = Interval; at < time; at += Interval)
        {
            if (cancel.WaitHandle.WaitOne(Interval))
                return;
            Once(writers);
        }
    }

    /// <summary>The files of all rotations that are still there, the oldest first.</summary>
    public IEnumerable<string> Files() =>
        Directory.GetFiles(directory, Pattern + "*").OrderBy(static f => f.EndsWith(".log", StringComparison.Ordinal)).ThenBy(static f => f.Length).ThenBy(static f => f, StringComparer.Ordinal);

    /// <summary>Rotates now.</summary>
    public void Once(int writers)
    {
        _times++;
        foreach (var file in Directory.GetFiles(directory, Pattern))
        {
            if (method == RotationMethod.CopyTruncate)
            {
                File.Copy(file, $"{file}.{_times}");
                using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                RandomAccess.SetLength(handle, 0);
            }
            else
            {
                File.Move(file, $"{file}.{_times}");
            }

            if (method == RotationMethod.RenameAndDelete)
                File.Delete($"{file}.{_times - 1}");
        }

        if (method != RotationMethod.CopyTruncate)
            ChildProgram.Signal(writers, ChildProgram.SigHup);
    }
}
