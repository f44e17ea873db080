using System.Net;
using System.Net.Sockets;

namespace Hikyaku.Forward;

/// <summary>Looks up the addresses of a host. Throws <see cref="SocketException"/> where it has none.</summary>
public delegate Task<IPAddress[]> HostLookup(string host, CancellationToken cancellation);

/// <summary>Which addresses may connect: those of networks, and those that names have now.</summary>
/// <param name="networks">IPv4 and IPv6; an address is a network of its own.</param>
/// <param name="names">Looked up when an address comes that is not known, at most every <see cref="LookupPause"/>.</param>
/// <param name="lookup">Who is asked.</param>
/// <param name="time">The clock of the cache.</param>
public sealed class AllowList(IReadOnlyList<IPNetwork> networks, IReadOnlyList<string> names, HostLookup lookup, TimeProvider time)
{
    /// <summary>How long an answer counts.</summary>
    public static readonly TimeSpan FreshTime = TimeSpan.FromMinutes(1);

    /// <summary>Strangers that keep coming cause no more lookups than one round in this time.</summary>
    public static readonly TimeSpan LookupPause = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan StrangersPatience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan KnownPatience = TimeSpan.FromSeconds(2);

    // A lookup occupies a thread until it is back, however long name servers are silent.
    private const int LookupsAtOnce = 2;

    private readonly Lock gate = new();
    private readonly Dictionary<string, IPAddress[]> known = new(StringComparer.Ordinal);
    private Task? round;
    private long lastRound;

    /// <summary>Parses an address, or address/bits. The bits behind the mask do not count; what is mapped from IPv4 is IPv4.</summary>
    public static bool TryParseNetwork(string text, out IPNetwork network)
    {
        network = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var written = slash < 0 ? text : text[..slash];
        // The parser also takes 10.1 for 10.0.0.1, 010.0.0.1 for 8.0.0.1, and interfaces of this machine.
        if (!IPAddress.TryParse(written, out var address) || written.Contains('%', StringComparison.Ordinal)
            || (address.AddressFamily == AddressFamily.InterNetwork && !string.Equals(written, address.ToString(), StringComparison.Ordinal)))
            return false;
        var all = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        var bits = all;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), System.Globalization.NumberStyles.None, null, out bits) || bits > all))
            return false;
        if (address.IsIPv4MappedToIPv6)
        {
            if (bits < 96)
                return false;
            address = address.MapToIPv4();
            bits -= 96;
        }
        var bytes = address.GetAddressBytes();
        for (var bit = bits; bit < bytes.Length * 8; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        network = new IPNetwork(new IPAddress(bytes), bits);
        return true;
    }

    /// <summary>Whether this address may connect. Waits for the names to be looked up, if only they can tell.</summary>
    public async ValueTask<bool> AllowsAsync(IPAddress address, CancellationToken cancellation)
    {
        // Without the name of the interface, which is this machine's alone.
        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : new IPAddress(address.GetAddressBytes());
        foreach (var network in networks)
        {
            if (network.Contains(address))
                return true;
        }
        if (names.Count == 0)
            return false;
        Task looking;
        bool isKnown;
        lock (gate)
        {
            isKnown = Knows(address);
            var age = time.GetElapsedTime(lastRound);
            if (round is null || (round.IsCompleted && age >= (isKnown ? FreshTime : LookupPause)))
            {
                lastRound = time.GetTimestamp();
                round = LookUpAllAsync();
            }
            else if (isKnown && age < FreshTime)
            {
                return true;
            }
            looking = round;
        }
        try
        {
            await looking.WaitAsync(isKnown ? KnownPatience : StrangersPatience, time, cancellation);
        }
        catch (TimeoutException)
        {
            // Who asks names that do not answer goes by what they said last.
        }
        lock (gate)
            return Knows(address);
    }

    private bool Knows(IPAddress address) => known.Values.Any(addresses => addresses.Contains(address));

    private async Task LookUpAllAsync()
    {
        // Whoever starts it holds the lock.
        await Task.Yield();
        var taken = 0;
        await Task.WhenAll(Enumerable.Range(0, LookupsAtOnce).Select(_ => LookUpSomeAsync()));

        async Task LookUpSomeAsync()
        {
            for (int next; (next = Interlocked.Increment(ref taken)) <= names.Count;)
                await LookUpAsync(names[next - 1]);
        }
    }

    // Not given up: that would not end it, and the next would be one more.
    private async Task LookUpAsync(string name)
    {
        try
        {
            var found = await lookup(name, CancellationToken.None);
            lock (gate)
                known[name] = [.. found.Select(static a => a.IsIPv4MappedToIPv6 ? a.MapToIPv4() : new IPAddress(a.GetAddressBytes()))];
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.HostNotFound or SocketError.NoData)
        {
            lock (gate)
                known.Remove(name);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // No answer is no news: what was known counts on.
        }
    }
}
