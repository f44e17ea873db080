using System.Globalization;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>A disk of its own, in memory, that can be full from one moment to the next: its limit is set to what is used.</summary>
internal sealed class SmallDisk
{
    private readonly Scene _scene;
    private readonly long _bytes;

    public SmallDisk(Scene scene, string name, long bytes)
    {
        (_scene, _bytes) = (scene, bytes);
        Path = scene.MakeFolder(name);
        scene.ShellOk($"mount -t tmpfs -o size={Text(bytes)} small {Path}");
    }

    public string Path { get; }

    /// <summary>Whether it is full now. If not, those who write to it were always quicker, and it is as large as it was.</summary>
    public bool Fill()
    {
        // It is being written to: what was used may be too little or too much a moment later.
        for (var tries = 0; tries < 20; tries++)
        {
            var disk = new DriveInfo(Path);
            if (_scene.Shell($"mount -o remount,size={Text(disk.TotalSize - disk.TotalFreeSpace)} {Path}").ExitCode is 0 && disk.AvailableFreeSpace is 0)
                return true;
        }
        Free();
        return false;
    }

    public void Free() => _scene.ShellOk($"mount -o remount,size={Text(_bytes)} {Path}");

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
