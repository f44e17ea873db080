using System.Net;
using System.Net.Sockets;
using System.Text;
using Hikyaku.EndToEnd.Stage;

namespace Hikyaku.EndToEnd;

/// <summary>
/// Clients of a web server on this machine. Each request has a path of its own, /CONNECTION/NUMBER, and the answers are counted:
/// what was answered must be logged. Requests are sent many at a time, so that the server and not the clients sets the pace.
/// </summary>
internal sealed class WebServerClients : IDisposable
{
    private const int AtATime = 32;
    private static readonly byte[] StatusLine = "HTTP/1.1 204"u8.ToArray();

    private readonly int _port;
    private readonly List<Connection> _connections = [];
    private readonly List<Thread> _threads = [];
    private volatile bool _enough;
    private Exception? _failure;

    public WebServerClients(int port, int clients)
    {
        _port = port;
        for (var i = 0; i < clients; i++)
        {
            var thread = new Thread(Ask) { IsBackground = true };
            thread.Start();
            _threads.Add(thread);
        }
    }

    /// <summary>Waits for the answers to what has been sent, and sends no more. Throws if a client was answered something else.</summary>
    public void Stop()
    {
        Dispose();
        if (_failure is not null)
            throw new InvalidOperationException("A client has failed.", _failure);
    }

    public void Dispose()
    {
        _enough = true;
        _threads.ForEach(static t => t.Join());
    }

    /// <summary>What has been answered, in requests. After <see cref="Stop"/>.</summary>
    public long Answered => _connections.Sum(static c => (long)c.Answered);

    /// <summary>
    /// What is wrong with a log; empty if nothing is. Every answered request stands in it once and in the order of its connection;
    /// one whose connection was closed before the answer came stands in it once or not at all; and there is nothing else in it.
    /// </summary>
    public string Compare(IEnumerable<string> lines)
    {
        var logged = new int[_connections.Count];
        var (twiceOrReordered, foreign) = (0, 0);
        foreach (var line in lines)
        {
            // GET /CONNECTION/NUMBER HTTP/1.1, between quotes
            var fields = line.Split('"') is [_, var request, ..] ? request.Split('/', ' ') : [];
            if (fields is not ["GET", "", var c, var n, "HTTP", "1.1"] || !int.TryParse(c, out var connection) || !int.TryParse(n, out var number)
                || connection >= logged.Length || number >= _connections[connection].Sent || !line.EndsWith('.'))
                foreign++;
            else if (number != logged[connection])
                twiceOrReordered++;
            else
                logged[connection]++;
        }
        var lost = logged.Select((n, i) => Math.Max(0, _connections[i].Answered - n)).Sum();
        return lost + twiceOrReordered + foreign is 0 ? "" : $"{lost} lost or after a gap, {twiceOrReordered} twice or not in order, {foreign} foreign";
    }

    private void Ask()
    {
        while (!_enough)
        {
            Connection connection;
            lock (_connections)
                _connections.Add(connection = new Connection(_connections.Count));
            try
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = (int)Eventually.Patience.TotalMilliseconds };
                socket.Connect(IPAddress.Loopback, _port);
                while (!_enough && AskOn(socket, connection))
                {
                    // as long as the server keeps it
                }
            }
            catch (SocketException)
            {
                // A server that starts anew closes connections: the next one goes on, and is not asked for too soon.
                Thread.Sleep(10);
            }
            catch (Exception e)
            {
                // Nobody would catch it on this thread, and the whole run would end.
                Interlocked.CompareExchange(ref _failure, e, null);
                return;
            }
        }
    }

    // False when the server has closed the connection.
    private static bool AskOn(Socket socket, Connection connection)
    {
        var requests = new StringBuilder();
        for (var i = 0; i < AtATime; i++)
            requests.Append($"GET /{connection.Id}/{connection.Sent + i} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.Sent += AtATime;
        socket.Send(Encoding.ASCII.GetBytes(requests.ToString()));

        // An answer has a head and nothing else, and ends where the next one may begin.
        var buffer = new byte[1 << 16];
        var filled = 0;
        while (connection.Answered < connection.Sent)
        {
            var got = socket.Receive(buffer.AsSpan(filled));
            if (got is 0)
                return false;
            filled += got;
            var from = 0;
            for (int end; (end = buffer.AsSpan(from, filled - from).IndexOf("\r\n\r\n"u8)) >= 0; from += end + 4)
            {
                if (!buffer.AsSpan(from).StartsWith(StatusLine))
                    throw new InvalidOperationException(Encoding.Latin1.GetString(buffer, from, end));
                connection.Answered++;
            }
            buffer.AsSpan(from, filled - from).CopyTo(buffer);
            filled -= from;
        }
        return true;
    }

    private sealed class Connection(int id)
    {
        public int Id => id;
        public int Sent { get; set; }
        public int Answered { get; set; }
    }
}
