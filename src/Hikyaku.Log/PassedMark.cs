namespace Hikyaku.Log;

/// <summary>
/// Up to where every reader has passed a log with extents, in a file beside its segments. The records below may still be there, but
/// what their extents point to may be cut off, punched out or removed. The same two slots as in a <see cref="Cursor"/> file.
/// </summary>
public static class PassedMark
{
    private const string Name = "passed";

    /// <summary>Every reader is done with the records below this sequence; 0 if nothing is known. Throws IOException.</summary>
    public static ulong Read(string logDirectory, Disk? disk = null) =>
        Cursor.TryRead(Path.Combine(logDirectory, Name), out ulong sequence, disk) ? sequence : 0;

    /// <summary>To be stored before anything is let go; never a lower one than before. Throws IOException.</summary>
    public static void Write(string logDirectory, ulong sequence) => Cursor.Write(Path.Combine(logDirectory, Name), sequence);
}
