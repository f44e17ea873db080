namespace Hikyaku.Log;

/// <summary>Where the segments of one log live: files, or a simulated disk. All failures are <see cref="LogException"/>.</summary>
public interface ILogStorage
{
    /// <summary>The name of the place in messages for people, such as the directory.</summary>
    string Location { get; }

    /// <summary>Takes the place for one writer, making it first if it is missing; <see cref="LogFault.InUse"/> if another writer has it.</summary>
    IDisposable Lock();

    /// <summary>Names of all files, in no order; empty if the place does not exist.</summary>
    IReadOnlyList<string> List();

    /// <summary>
    /// A new writable file of so many zero bytes, all allocated, so that storing into it cannot fail;
    /// replaces a file of that name. <see cref="LogFault.DiskFull"/> leaves no file behind.
    /// </summary>
    SegmentMemory Create(string name, long bytes);

    /// <summary>Maps an existing file; null if there is none of that name. A writable one is allocated in full first.</summary>
    SegmentMemory? Open(string name, bool writable);

    /// <summary>Renames a file atomically, replacing the target.</summary>
    void Rename(string from, string to);

    /// <summary>Removes a file; one that is not there is no error. Existing mappings stay valid.</summary>
    void Delete(string name);

    /// <summary>Makes creations, renames and deletions durable.</summary>
    void SyncDirectory();
}
