namespace Hikyaku.Forward;

/// <summary>Room for connections that have not proved who they are: little, so that strangers keep nobody out for long.</summary>
internal sealed class Doorstep
{
    public const int PlacesMax = 128;

    /// <summary>For one address, or one /64 of IPv6.</summary>
    public const int PlacesOfOneMax = 16;

    private readonly Dictionary<string, int> places = new(StringComparer.Ordinal);
    private int taken;

    public int Taken => Volatile.Read(ref taken);

    /// <summary>Null: there is room, and <see cref="Leave"/> is to be called. Otherwise what there is too much of.</summary>
    public string? Enter(string peer)
    {
        var network = PeerNetwork.Of(peer);
        lock (places)
        {
            places.TryGetValue(network, out var own);
            if (own >= PlacesOfOneMax)
                return $"has {PlacesOfOneMax} connections that have not proved who they are, the most allowed; this one is refused";
            if (taken >= PlacesMax)
                return $"{PlacesMax} connections have not proved who they are, the most allowed; this one is refused";
            places[network] = own + 1;
            taken++;
            return null;
        }
    }

    public void Leave(string peer)
    {
        var network = PeerNetwork.Of(peer);
        lock (places)
        {
            taken--;
            if (--places[network] == 0)
                places.Remove(network);
        }
    }
}
