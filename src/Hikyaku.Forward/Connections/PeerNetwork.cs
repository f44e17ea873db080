using System.Net;
using System.Net.Sockets;

namespace Hikyaku.Forward;

/// <summary>What counts as one peer: an address of IPv4, or the /64 of one of IPv6, of whose addresses anybody there may take any.</summary>
internal static class PeerNetwork
{
    public static string Of(string peer)
    {
        if (!peer.Contains(':', StringComparison.Ordinal) || !IPAddress.TryParse(peer, out var address) || address.AddressFamily != AddressFamily.InterNetworkV6)
            return peer;
        var bytes = address.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes).ToString();
    }
}
