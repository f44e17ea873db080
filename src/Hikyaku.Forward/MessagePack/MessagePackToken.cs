namespace Hikyaku.Forward;

/// <summary>The outcome of a read.</summary>
public enum ReadResult : byte
{
    /// <summary>A value was read.</summary>
    Success,

    /// <summary>The bytes end inside the value.</summary>
    Insufficient,

    /// <summary>The bytes cannot be what was asked for, whatever follows.</summary>
    Malformed,
}

/// <summary>What a MessagePack value is.</summary>
public enum MessagePackKind : byte
{
    /// <summary>nil.</summary>
    Nil,

    /// <summary>true or false.</summary>
    Boolean,

    /// <summary>An integer that is not negative, in whatever form it was written.</summary>
    Unsigned,

    /// <summary>A negative integer.</summary>
    Negative,

    /// <summary>A float of 32 or 64 bits.</summary>
    Float,

    /// <summary>str: text by name, any bytes in fact.</summary>
    Text,

    /// <summary>bin.</summary>
    Binary,

    /// <summary>The header of an array.</summary>
    Array,

    /// <summary>The header of a map.</summary>
    Map,

    /// <summary>ext.</summary>
    Extension,
}

/// <summary>One MessagePack value, or the header of an array or a map.</summary>
public readonly ref struct MessagePackToken
{
    internal MessagePackToken(MessagePackKind kind, ulong number, ReadOnlySpan<byte> payload = default, sbyte extension = 0)
    {
        Kind = kind;
        Number = number;
        Payload = payload;
        Extension = extension;
    }

    /// <summary>What it is.</summary>
    public MessagePackKind Kind { get; }

    /// <summary>Unsigned: the value. Negative: the value as two's complement. Boolean: 0 or 1. Float: the bits of the double. Array and Map: the count.</summary>
    public ulong Number { get; }

    /// <summary>The bytes of Text, Binary and Extension.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>The type of an Extension.</summary>
    public sbyte Extension { get; }

    /// <summary>Text or Binary: peers use one for the other.</summary>
    public bool IsBytes => Kind is MessagePackKind.Text or MessagePackKind.Binary;

    /// <summary>The value of a Float.</summary>
    public double Double => BitConverter.UInt64BitsToDouble(Number);
}
