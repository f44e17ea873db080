using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>
/// Sends numbered lines as fluentd or Fluent Bit do, on a bad day: every chunk until its ack has come, always with the same id,
/// over connections that it cuts in the midst of a chunk, or before it has read the ack.
/// </summary>
internal sealed class ForeignSender
{
    private readonly int _port;
    private readonly bool _isFluentBit;
    private readonly Random _dice;
    private readonly Thread _thread;
    private Exception? _problem;
    private volatile bool _enough;
    private TcpClient? _connection;

    /// <param name="name">What its lines begin with.</param>
    public ForeignSender(int port, string name, bool isFluentBit, int seed)
    {
        (_port, Name, _isFluentBit, _dice) = (port, name, isFluentBit, new Random(seed));
        _thread = new Thread(Run) { IsBackground = true };
        _thread.Start();
    }

    public string Name { get; }

    /// <summary>Lines that are acknowledged.</summary>
    public int Lines { get; private set; }

    /// <summary>Chunks that were sent more than once.</summary>
    public int Repeated { get; private set; }

    /// <summary>Ends behind the chunk that is under way.</summary>
    public void Stop()
    {
        _enough = true;
        _thread.Join();
        _connection?.Dispose();
        if (_problem is not null)
            throw new InvalidOperationException($"{Name}: {_problem.Message}", _problem);
    }

    public string Line(int number) => $"{Name} {number} {new string('x', number % 97 == 0 ? 300_000 : number % 50)}";

    private void Run()
    {
        try
        {
            while (!_enough)
            {
                var count = _dice.Next(1, 200);
                SendUntilAcked(Enumerable.Range(Lines, count).Select(Line));
                Lines += count;
            }
        }
        catch (Exception e)
        {
            _problem = e;
        }
    }

    private void SendUntilAcked(IEnumerable<string> lines)
    {
        var entries = new MemoryStream();
        foreach (var line in lines)
            WriteEntry(entries, line);
        // fluentd: base64 of 16 random bytes and a newline. Fluent Bit: a hash of the content as hex.
        var id = _isFluentBit ? Convert.ToHexStringLower(SHA512.HashData(entries.ToArray())[..16]) : Convert.ToBase64String(Guid.NewGuid().ToByteArray()) + "\n";
        var message = new MemoryStream();
        message.WriteByte(0x93);
        WriteText(message, "app.log");
        WriteLength(message, _isFluentBit ? (byte)0xc6 : (byte)0xdb, (int)entries.Length);
        entries.WriteTo(message);
        message.WriteByte(0x81);
        WriteText(message, "chunk");
        WriteText(message, id);
        var ack = new MemoryStream();
        ack.WriteByte(0x81);
        WriteText(ack, "ack");
        WriteText(ack, id);
        for (var tries = 0; !TrySend(message.ToArray(), ack.ToArray()); tries++)
        {
            if (tries == 0)
                Repeated++;
            Thread.Sleep(_dice.Next(1, 50));
        }
    }

    private bool TrySend(byte[] message, byte[] ack)
    {
        try
        {
            // fluentd takes a new connection for each chunk unless told otherwise, Fluent Bit keeps it.
            var connection = _connection ??= Connect();
            var stream = connection.GetStream();
            var day = _dice.Next(10);
            if (day == 0)
            {
                stream.Write(message.AsSpan(0, _dice.Next(message.Length)));
                Drop();
                return false;
            }

            stream.Write(message);
            if (day <= 2)
            {
                Thread.Sleep(_dice.Next(20));
                Drop();
                return false;
            }

            var answer = new byte[ack.Length];
            stream.ReadExactly(answer);
            if (!answer.AsSpan().SequenceEqual(ack))
                throw new InvalidDataException($"the answer is {Encoding.Latin1.GetString(answer)}");
            if (!_isFluentBit)
                Drop();
            return true;
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            Drop();
            return false;
        }
    }

    private TcpClient Connect()
    {
        var connection = new TcpClient { NoDelay = true };
        try
        {
            connection.Connect("127.0.0.1", _port);
            connection.ReceiveTimeout = connection.SendTimeout = 20_000;
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private void Drop()
    {
        _connection?.Dispose();
        _connection = null;
    }

    private static void WriteEntry(MemoryStream to, string line)
    {
        // [EventTime, {"message": line}]
        to.Write([0x92, 0xd7, 0x00, 0x68, 0, 0, 0, 0, 0, 0, 1, 0x81]);
        WriteText(to, "message");
        WriteText(to, line);
    }

    private static void WriteText(MemoryStream to, string text)
    {
        if (text.Length < 32)
            to.WriteByte((byte)(0xa0 | text.Length));
        else
            WriteLength(to, 0xdb, text.Length);
        to.Write(Encoding.ASCII.GetBytes(text));
    }

    private static void WriteLength(MemoryStream to, byte kind, int length)
    {
        Span<byte> bytes = stackalloc byte[5];
        bytes[0] = kind;
        BinaryPrimitives.WriteInt32BigEndian(bytes[1..], length);
        to.Write(bytes);
    }
}
