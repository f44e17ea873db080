namespace Hikyaku.Transfer;

/// <summary>A server that chunks can go to.</summary>
/// <param name="Address">"host:port".</param>
public sealed record TargetServer(string Address)
{
    /// <summary>The largest weight.</summary>
    public const int WeightMax = 65_535;

    /// <summary>Longest address, so that a file can be named after it.</summary>
    public const int AddressLengthMax = 150;

    /// <summary>Its share of what is spread, beside the weights of the others; from 1.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Takes lines only while no other server is healthy.</summary>
    public bool IsStandby { get; init; }

    /// <summary>A server of weight 1 that is no standby.</summary>
    public static implicit operator TargetServer(string address) => FromString(address);

    /// <summary>A server of weight 1 that is no standby.</summary>
    public static TargetServer FromString(string address) => new(address);
}
