using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Hikyaku.Transfer.Servers;

namespace Hikyaku.Tests.Transfer;

/// <summary>A name server on loopback that knows one service.</summary>
internal sealed class SrvServer : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

    public SrvServer()
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _ = RunAsync();
    }

    public IPEndPoint Address => (IPEndPoint)_socket.LocalEndPoint!;

    public IReadOnlyList<SrvRecord> Records { get; set; } = [];

    /// <summary>The answer to that question.</summary>
    public static byte[] Answer(ReadOnlySpan<byte> question, IReadOnlyList<SrvRecord> records, uint seconds, int code = 0)
    {
        var answer = new List<byte>();
        answer.AddRange(question[..2]);
        answer.AddRange([0x81, (byte)(0x80 | code), 0, 1, (byte)(records.Count >> 8), (byte)records.Count, 0, 0, 0, 0]);
        answer.AddRange(question[12..^11]);
        Span<byte> number = stackalloc byte[4];
        foreach (var record in records)
        {
            var target = Encoding.ASCII.GetBytes(record.Host);
            // The name is a pointer to the question's; the target's last label is one byte per label and its length.
            answer.AddRange([0xc0, 12, 0, 33, 0, 1]);
            BinaryPrimitives.WriteUInt32BigEndian(number, seconds);
            answer.AddRange(number);
            var labels = record.Host.Split('.');
            var length = 6 + target.Length + 2;
            foreach (var value in new[] { length, record.Priority, record.Weight, record.Port })
                answer.AddRange([(byte)(value >> 8), (byte)value]);
            foreach (var label in labels)
                answer.AddRange([(byte)label.Length, .. Encoding.ASCII.GetBytes(label)]);
            answer.Add(0);
        }

        return [.. answer];
    }

    public void Dispose() => _socket.Dispose();

    private async Task RunAsync()
    {
        var buffer = new byte[4096];
        try
        {
            while (true)
            {
                var got = await _socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                await _socket.SendToAsync(Answer(buffer.AsSpan(0, got.ReceivedBytes), Records, seconds: 1), got.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
