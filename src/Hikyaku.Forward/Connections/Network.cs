namespace Hikyaku.Forward;

/// <summary>Where connections come from: TCP, or a simulated network.</summary>
public abstract class Network
{
    /// <summary>The real one.</summary>
    public static Network Tcp { get; } = new TcpNetwork();

    /// <summary>Connects. Throws <see cref="ForwardException"/> or IOException.</summary>
    public abstract ValueTask<Stream> DialAsync(ForwardAddress address, CancellationToken cancellation);

    /// <summary>Listens; from now on connections queue up. Throws <see cref="ForwardException"/>.</summary>
    public abstract Listener Listen(ForwardAddress address, Action<string> report);

    private sealed class TcpNetwork : Network
    {
        public override ValueTask<Stream> DialAsync(ForwardAddress address, CancellationToken cancellation) => address.DialAsync(cancellation);

        public override Listener Listen(ForwardAddress address, Action<string> report) => ForwardListener.Open(address, report);
    }
}

/// <summary>A port that takes connections.</summary>
public abstract class Listener : IDisposable
{
    /// <summary>Connections that are open now.</summary>
    public abstract int Connections { get; }

    /// <summary>Gives connections to the server until cancelled, then waits for them to end.</summary>
    public abstract Task RunAsync(ForwardServer server, CancellationToken cancellation);

    /// <summary>Stops listening.</summary>
    public abstract void Dispose();
}
