using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Hikyaku.Transfer.Servers;

/// <summary>Asks the name servers of /etc/resolv.conf for SRV records, over UDP, and over TCP where the answer is too long for that.</summary>
internal sealed class ServiceRecords(IReadOnlyList<IPEndPoint> resolvers, TimeProvider time)
{
    private const string ResolverFile = "/etc/resolv.conf";
    private const int ResolversMax = 3, Tries = 2, NameServerPort = 53;
    private const int HeaderBytes = 12, UdpBytes = 4096;
    private const ushort TypeSrv = 33, TypeOpt = 41, ClassInternet = 1;
    private const int RecordsMax = 1024, PointersMax = 32;
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(2);

    /// <summary>Those of this machine, as they are configured at this moment.</summary>
    public static async Task<SrvAnswer> LookUpAsync(string name, CancellationToken cancel)
    {
        string text;
        try
        {
            text = await File.ReadAllTextAsync(ResolverFile, cancel);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }

        return await new ServiceRecords(Resolvers(text), TimeProvider.System).AskAsync(name, cancel);
    }

    /// <summary>The name servers that resolv.conf names; the one of this machine if it names none.</summary>
    public static IReadOnlyList<IPEndPoint> Resolvers(string text)
    {
        var found = text.Split('\n')
            .Select(static line => line.Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries))
            .Where(static words => words.Length >= 2 && words[0] is "nameserver")
            .Select(static words => IPAddress.TryParse(words[1], out var address) ? new IPEndPoint(address, NameServerPort) : null)
            .OfType<IPEndPoint>().Take(ResolversMax).ToArray();
        return found.Length > 0 ? found : [new IPEndPoint(IPAddress.Loopback, NameServerPort)];
    }

    /// <summary>Asks one name server after the other. Throws IOException.</summary>
    public async Task<SrvAnswer> AskAsync(string name, CancellationToken cancel)
    {
        var question = Question(name);
        var problem = "";
        for (var i = 0; i < Tries; i++)
        {
            foreach (var resolver in resolvers)
            {
                try
                {
                    using var answerTime = new CancellationTokenSource(AnswerTime, time);
                    using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, answerTime.Token);
                    var answer = await AskOverUdpAsync(resolver, question, either.Token);
                    // Cut short: the whole comes over TCP.
                    if ((answer[2] & 2) != 0)
                        answer = await AskOverTcpAsync(resolver, question, either.Token);
                    return Parse(answer, question);
                }
                catch (SocketException e)
                {
                    problem = $"name server {resolver}: {e.Message}";
                }
                catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
                {
                    problem = $"name server {resolver} does not answer";
                }
                catch (IOException e)
                {
                    problem = $"name server {resolver}: {e.Message}";
                }
            }
        }

        throw new IOException(problem);
    }

    /// <summary>Reads an answer to that question; every length is checked. Throws IOException.</summary>
    public static SrvAnswer Parse(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question)
    {
        if (!IsAnswerTo(answer, question))
            throw Malformed();
        var code = answer[3] & 15;
        if (code != 0)
            throw new IOException(code switch { 3 => "there is no such name", 2 => "it fails to find out (SERVFAIL)", 5 => "it refuses to answer", _ => $"it answers with error {code}" });
        var at = HeaderBytes + QuestionBytes(question);
        var records = new List<SrvRecord>();
        var life = uint.MaxValue;
        for (var left = Math.Min((int)Number(answer, 6), RecordsMax); left > 0; left--)
        {
            ReadName(answer, ref at);
            var type = Number(answer, at);
            var seconds = (uint)(Number(answer, at + 4) << 16 | Number(answer, at + 6));
            var length = Number(answer, at + 8);
            at += 10;
            if (at + length > answer.Length)
                throw Malformed();
            if (type == TypeSrv && length >= 7)
            {
                var target = at + 6;
                // The root: this service is not offered.
                if (ReadName(answer, ref target) is { Length: > 0 } host && host.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
                    records.Add(new SrvRecord(host, Number(answer, at + 4), Number(answer, at), Number(answer, at + 2)));
                life = Math.Min(life, seconds);
            }

            at += length;
        }

        return new SrvAnswer(records, TimeSpan.FromSeconds(records.Count > 0 ? Math.Min(life, int.MaxValue) : 0));
    }

    /// <summary>A question for the SRV records of a name, with a random number. Throws IOException if it is no name.</summary>
    public static byte[] Question(string name)
    {
        var labels = name.TrimEnd('.').Split('.');
        if (name.Length > 253 || Array.Exists(labels, static l => l.Length is 0 or > 63 || !Ascii.IsValid(l)))
            throw new IOException("it is not a DNS name");
        var bytes = new List<byte>(RandomNumberGenerator.GetBytes(2));
        // Recursion, one question, one further record: how long an answer may be.
        bytes.AddRange([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        foreach (var label in labels)
        {
            bytes.Add((byte)label.Length);
            bytes.AddRange(Encoding.ASCII.GetBytes(label));
        }

        bytes.AddRange([0, 0, (byte)TypeSrv, 0, (byte)ClassInternet]);
        bytes.AddRange([0, 0, (byte)TypeOpt, UdpBytes >> 8, UdpBytes & 255, 0, 0, 0, 0, 0, 0]);
        return [.. bytes];
    }

    private static async Task<byte[]> AskOverUdpAsync(IPEndPoint resolver, byte[] question, CancellationToken cancel)
    {
        using var socket = new Socket(resolver.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        // Connected: what others send does not arrive.
        await socket.ConnectAsync(resolver, cancel);
        await socket.SendAsync(question, cancel);
        var buffer = new byte[UdpBytes];
        while (true)
        {
            var length = await socket.ReceiveAsync(buffer, cancel);
            if (IsAnswerTo(buffer.AsSpan(0, length), question))
                return buffer[..length];
        }
    }

    private static async Task<byte[]> AskOverTcpAsync(IPEndPoint resolver, byte[] question, CancellationToken cancel)
    {
        using var socket = new Socket(resolver.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(resolver, cancel);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync((byte[])[(byte)(question.Length >> 8), (byte)question.Length, .. question], cancel);
        var head = new byte[2];
        await stream.ReadExactlyAsync(head, cancel);
        var answer = new byte[BinaryPrimitives.ReadUInt16BigEndian(head)];
        await stream.ReadExactlyAsync(answer, cancel);
        return answer;
    }

    private static bool IsAnswerTo(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question)
    {
        var asked = question.Slice(HeaderBytes, QuestionBytes(question));
        return answer.Length >= HeaderBytes + asked.Length && answer[..2].SequenceEqual(question[..2]) && (answer[2] & 0x80) != 0
            && Number(answer, 4) == 1 && Ascii.EqualsIgnoreCase(answer.Slice(HeaderBytes, asked.Length), asked);
    }

    // Of our own question, which ends in type, class and the further record of 11 bytes.
    private static int QuestionBytes(ReadOnlySpan<byte> question) => question.Length - HeaderBytes - 11;

    private static ushort Number(ReadOnlySpan<byte> answer, int at) =>
        at + 2 <= answer.Length ? BinaryPrimitives.ReadUInt16BigEndian(answer[at..]) : throw Malformed();

    // Moves on behind the name, which may be continued elsewhere.
    private static string ReadName(ReadOnlySpan<byte> answer, ref int at)
    {
        var name = new StringBuilder();
        var (place, jumps) = (at, 0);
        while (true)
        {
            if (place >= answer.Length || name.Length > 255)
                throw Malformed();
            var length = answer[place];
            if (length >= 0xc0)
            {
                var target = Number(answer, place) & 0x3fff;
                if (jumps++ == 0)
                    at = place + 2;
                if (jumps > PointersMax)
                    throw Malformed();
                place = target;
                continue;
            }

            if (length > 63 || place + 1 + length > answer.Length)
                throw Malformed();
            if (length == 0)
                break;
            name.Append(name.Length > 0 ? "." : "").Append(Encoding.ASCII.GetString(answer.Slice(place + 1, length)));
            place += 1 + length;
        }

        if (jumps == 0)
            at = place + 1;
        return name.ToString();
    }

    private static IOException Malformed() => new("its answer cannot be read");
}
