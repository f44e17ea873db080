using System.Net;
using System.Net.Sockets;

namespace Hikyaku.Tests.Transfer;

/// <summary>Takes connections and bytes, and never answers.</summary>
internal sealed class SilentServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _run;
    private long _bytes;

    public SilentServer()
    {
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _run = RunAsync();
    }

    public int Port { get; }

    public long Bytes => Interlocked.Read(ref _bytes);

    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        await _stop.CancelAsync();
        _listener.Stop();
        await _run;
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
                connections.Add(DrainAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task DrainAsync(TcpClient client)
    {
        using var open = client;
        var buffer = new byte[65_536];
        try
        {
            while (await client.GetStream().ReadAsync(buffer, _stop.Token) is > 0 and var read)
                Interlocked.Add(ref _bytes, read);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The other side left, or the test is over.
        }
    }
}
