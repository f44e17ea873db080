using System.Text.Json;
using Hikyaku.Supervision;

namespace Hikyaku.Status;

/// <summary>Writes the status of this process once a second while it changes: a new file each time, renamed over the old one.</summary>
internal sealed class StatusFile : IDisposable
{
    private static readonly TimeSpan FirstAfter = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly Func<ProcessStatus> _now;
    private readonly Timer _timer;
    private readonly Lock _lock = new();
    private byte[] _last = [];

    public StatusFile(string state, string process, Func<ProcessStatus> now)
    {
        _path = Path.Join(InstancePaths.Status(state), process + ".json");
        _now = now;
        _timer = new Timer(_ => Write(), null, FirstAfter, Period);
    }

    public void Dispose()
    {
        _timer.Dispose();
        Write();
    }

    private void Write()
    {
        lock (_lock)
        {
            try
            {
                var status = _now() with { Process = Environment.ProcessId };
                var bytes = JsonSerializer.SerializeToUtf8Bytes(status, StatusJson.Default.ProcessStatus);
                if (bytes.AsSpan().SequenceEqual(_last))
                    return;
                _last = bytes;
                File.WriteAllBytes(_path + ".new", JsonSerializer.SerializeToUtf8Bytes(status with { Written = TimeProvider.System.GetUtcNow() }, StatusJson.Default.ProcessStatus));
                File.Move(_path + ".new", _path, overwrite: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                // A full disk must not stop the work; the status is then as old as its file says.
            }
        }
    }
}
