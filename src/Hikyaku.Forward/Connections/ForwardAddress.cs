using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net.Sockets;

namespace Hikyaku.Forward;

/// <summary>A host (name, IPv4 or IPv6 address, "*" for every address of this machine) and a port.</summary>
public sealed record ForwardAddress(string Host, int Port)
{
    /// <summary>The port of the Forward protocol.</summary>
    public const int PortDefault = 24224;

    /// <summary>Parses host, host:port, [IPv6]:port, an IPv6 address alone, or :port (every address). Says what is wrong otherwise.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out ForwardAddress? address, [NotNullWhen(false)] out string? problem)
    {
        address = null;
        problem = null;
        var host = text;
        var port = "";
        var bracket = text.StartsWith('[') ? text.IndexOf(']') : -1;
        if (bracket > 0)
        {
            host = text[1..bracket];
            var rest = text[(bracket + 1)..];
            if (rest.Length > 0 && rest[0] != ':')
                problem = $"'{text}': after the ']' a ':' and a port is expected";
            port = rest.TrimStart(':');
        }
        else if (text.IndexOf(':') is var colon and >= 0 && text.LastIndexOf(':') == colon)
        {
            host = text[..colon];
            port = text[(colon + 1)..];
            if (port.Length == 0)
                problem = $"'{text}': a port is expected after the ':'";
        }
        if (host.Length == 0)
            host = "*";
        if (problem is null && (host.AsSpan().ContainsAny(" \t/[]@") || text.Length == 0))
            problem = $"'{text}' is not an address; expected is host:port, for example collector.example.com:{PortDefault}";
        var number = PortDefault;
        if (problem is null && port.Length > 0
            && (!int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out number) || number > ushort.MaxValue))
            problem = $"'{text}': '{port}' is not a port; expected is a number from 0 to {ushort.MaxValue}";
        if (problem is not null)
            return false;
        address = new ForwardAddress(host, number);
        return true;
    }

    /// <summary>Connects over TCP, trying every address of the host. Throws <see cref="ForwardException"/>.</summary>
    public async ValueTask<Stream> DialAsync(CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            TcpOptions.Set(socket);
            await socket.ConnectAsync(Host, Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new ForwardException($"cannot connect to {this}: {e.Message}", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>host:port, as it can be parsed again.</summary>
    public override string ToString() =>
        Host.Contains(':') ? $"[{Host}]:{Port.ToString(CultureInfo.InvariantCulture)}" : $"{Host}:{Port.ToString(CultureInfo.InvariantCulture)}";
}
