using System.Net;
using System.Net.Sockets;

namespace Hikyaku.Forward;

/// <summary>Listens on TCP and gives each connection to a <see cref="ForwardServer"/>; answers UDP heartbeats on the same port.</summary>
public sealed class ForwardListener : Listener
{
    private readonly Socket tcp;
    private readonly Socket? udp;
    private readonly int connectionsMax;
    private readonly Action<string> report;
    private readonly HashSet<Task> connections = [];
    private bool full;

    private ForwardListener(Socket tcp, Socket? udp, int connectionsMax, Action<string> report)
    {
        this.tcp = tcp;
        this.udp = udp;
        this.connectionsMax = connectionsMax;
        this.report = report;
        EndPoint = (IPEndPoint)tcp.LocalEndPoint!;
    }

    /// <summary>Where it listens; the port is the real one where 0 was asked for.</summary>
    public IPEndPoint EndPoint { get; }

    /// <inheritdoc/>
    public override int Connections
    {
        get
        {
            lock (connections)
                return connections.Count;
        }
    }

    /// <summary>Binds and listens; from now on connections queue up. Throws <see cref="ForwardException"/> naming the address and the way out.</summary>
    /// <param name="address">What to bind; a name is looked up, its first address counts.</param>
    /// <param name="report">Takes a line of text for people.</param>
    /// <param name="connectionsMax">Connections beyond this many are closed at once, and reported; those not admitted yet do not count.</param>
    public static ForwardListener Open(ForwardAddress address, Action<string> report, int connectionsMax = 1024)
    {
        var ip = Resolve(address);
        Socket? stream = null;
        try
        {
            stream = Bind(ip, address.Port, SocketType.Stream, ProtocolType.Tcp);
            stream.Listen(512);
        }
        catch (SocketException e)
        {
            stream?.Dispose();
            throw new ForwardException($"cannot listen on {address}: {Explain(e)}", e);
        }
        Socket? datagrams = null;
        var port = ((IPEndPoint)stream.LocalEndPoint!).Port;
        try
        {
            datagrams = Bind(ip, port, SocketType.Dgram, ProtocolType.Udp);
        }
        catch (SocketException e)
        {
            report($"UDP heartbeats on port {port} are not answered: {Explain(e)}");
        }
        return new ForwardListener(stream, datagrams, connectionsMax, report);
    }

    /// <inheritdoc/>
    public override async Task RunAsync(ForwardServer server, CancellationToken cancellation)
    {
        var heartbeats = AnswerHeartbeatsAsync(cancellation);
        var stuck = false;
        try
        {
            while (true)
            {
                try
                {
                    Admit(await tcp.AcceptAsync(cancellation), server, cancellation);
                    stuck = false;
                }
                catch (SocketException e)
                {
                    // Out of descriptors, for instance: those who wait stay in the queue meanwhile.
                    if (!stuck)
                        report($"cannot accept connections on {EndPoint}: {e.Message}; trying again every second");
                    stuck = true;
                    await Task.Delay(1000, cancellation);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // Asked to stop.
        }
        Dispose();
        await heartbeats;
        Task[] left;
        lock (connections)
            left = [.. connections];
        await Task.WhenAll(left);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        tcp.Dispose();
        udp?.Dispose();
    }

    private void Admit(Socket socket, ForwardServer server, CancellationToken cancellation)
    {
        lock (connections)
        {
            if (connections.Count - server.Strangers >= connectionsMax)
            {
                socket.Dispose();
                // Once per crossing of the limit, not once per try.
                if (!full)
                    report($"{EndPoint} has {connectionsMax} connections, the most allowed; further ones are refused");
                full = true;
                return;
            }
            full = false;
            var task = Task.Run(() => ServeAsync(socket, server, cancellation), CancellationToken.None);
            connections.Add(task);
            _ = task.ContinueWith(Forget, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private void Forget(Task task)
    {
        lock (connections)
            connections.Remove(task);
    }

    private static async Task ServeAsync(Socket socket, ForwardServer server, CancellationToken cancellation)
    {
        using (socket)
        {
            string peer;
            try
            {
                TcpOptions.Set(socket);
                var address = ((IPEndPoint)socket.RemoteEndPoint!).Address;
                peer = (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString();
            }
            catch (SocketException)
            {
                // Gone before it was served.
                return;
            }
            await server.ServeAsync(new NetworkStream(socket, ownsSocket: true), peer, cancellation);
        }
    }

    // Any datagram, even an empty one, is answered by one zero byte.
    private async Task AnswerHeartbeatsAsync(CancellationToken cancellation)
    {
        if (udp is null)
            return;
        var any = new IPEndPoint(udp.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        var buffer = new byte[64];
        var answer = new byte[1];
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                var received = await udp.ReceiveFromAsync(buffer, SocketFlags.None, any, cancellation);
                // A datagram from such a port comes from a receiver, and two receivers would answer each other for ever.
                if (((IPEndPoint)received.RemoteEndPoint).Port != EndPoint.Port)
                    await udp.SendToAsync(answer, SocketFlags.None, received.RemoteEndPoint, cancellation);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // A sender that is gone or unreachable; heartbeats are worth no more than a short pause.
                await Task.Delay(10, CancellationToken.None);
            }
        }
    }

    private static IPAddress Resolve(ForwardAddress address)
    {
        if (address.Host == "*")
            return Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any;
        if (IPAddress.TryParse(address.Host, out var ip))
            return ip;
        try
        {
            return Dns.GetHostAddresses(address.Host) is [var found, ..]
                ? found
                : throw new ForwardException($"cannot listen on {address}: the name {address.Host} has no address");
        }
        catch (SocketException e)
        {
            throw new ForwardException($"cannot listen on {address}: the name {address.Host} is unknown ({e.Message})", e);
        }
    }

    private static Socket Bind(IPAddress ip, int port, SocketType type, ProtocolType protocol)
    {
        var socket = new Socket(ip.AddressFamily, type, protocol);
        try
        {
            if (ip.Equals(IPAddress.IPv6Any))
                socket.DualMode = true;
            socket.Bind(new IPEndPoint(ip, port));
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string Explain(SocketException e) => e.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => "the port is in use by another program; stop that one or choose another port",
        SocketError.AddressNotAvailable => "this machine has no such address; choose one of its own, or 0.0.0.0 for all",
        SocketError.AccessDenied => "not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE",
        _ => e.Message,
    };
}
