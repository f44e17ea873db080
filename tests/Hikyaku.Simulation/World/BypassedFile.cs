using Hikyaku.Log;

namespace Hikyaku.Simulation;

/// <summary>
/// A file that its program writes past the mount: what it grows by is noted in the log later. What is here outlives the mount process, as the
/// file and its state do; <see cref="Noted"/> may lag behind the log, where a kill came between.
/// </summary>
internal sealed class BypassedFile(SimulatedDisk disk, ulong number, string path)
{
    public const string Directory = "/under";

    private readonly Inode _inode = New(disk, number);
    private bool _isBeingCut;

    public ulong Number => number;
    public string Path => path;

    /// <summary>Through which it is open; 0 if it is not.</summary>
    public ulong Handle { get; set; }

    public ulong Generation { get; private set; }

    /// <summary>All bytes below it are in extents of this generation.</summary>
    public ulong Noted { get; set; }

    public ulong Length => (ulong)_inode.Length;

    /// <summary>What a program writes is there at once, whoever is alive; false while the file is being cut.</summary>
    public bool TryWrite(byte[] data)
    {
        if (_isBeingCut)
            return false;
        _inode.Write(data, _inode.Length);
        return true;
    }

    /// <summary>Saves what is there, all of it noted, and empties the file. The process may die within it, or the disk fail.</summary>
    public void Cut(Hikyaku.Log.Disk of)
    {
        _isBeingCut = true;
        try
        {
            using (var saved = of.OpenForWriting(Saved + ".new", Opening.OwnAnew))
                saved.Write(_inode.Content, 0);
            of.Rename(Saved + ".new", Saved);
        }
        catch (IOException)
        {
            _isBeingCut = false;
            return;
        }

        Empty();
    }

    /// <summary>Ends a cut in which the process died, one way or the other.</summary>
    public void Recover()
    {
        if (_isBeingCut && disk.Names.ContainsKey(Saved))
            Empty();
        _isBeingCut = false;
    }

    private string Saved => $"{Directory}/{BackingFile.SavedName(number, Generation)}";

    private void Empty()
    {
        _inode.SetLength(0);
        Generation++;
        Noted = 0;
        _isBeingCut = false;
    }

    private static Inode New(SimulatedDisk disk, ulong number)
    {
        var inode = disk.NewInode();
        disk.Link($"{Directory}/{BackingFile.LiveName(number)}", inode);
        return inode;
    }
}
