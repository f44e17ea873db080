using System.Buffers.Binary;
using System.Reflection;
using System.Text;

namespace Hikyaku.Fuzz;

/// <summary>The one source of chance (SplitMix64): the same seed gives the same throws on every machine.</summary>
internal sealed class Dice(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A seed that is the same for everybody who has this commit.</summary>
    public static ulong OfCommit() =>
        Hash(Encoding.UTF8.GetBytes(typeof(Dice).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "")) >> 16;

    /// <summary>FNV-1a: what a run decides by chance follows from its input alone.</summary>
    public static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        var hash = 14695981039346656037ul;
        foreach (var value in bytes)
            hash = (hash ^ value) * 1099511628211ul;
        return hash;
    }

    public ulong Next()
    {
        var z = _state += 0x9E3779B97F4A7C15ul;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ul;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBul;
        return z ^ (z >> 31);
    }

    /// <summary>0 up to and without the limit.</summary>
    public int Below(int limit) => (int)(Next() % (ulong)limit);

    public int Between(int least, int most) => least + Below(most - least + 1);

    /// <summary>True once in so many times.</summary>
    public bool OneIn(int times) => Below(times) == 0;

    public T Pick<T>(IReadOnlyList<T> of) => of[Below(of.Count)];

    public void Fill(Span<byte> bytes)
    {
        foreach (ref var value in bytes)
            value = (byte)Next();
    }

    public byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        Fill(bytes);
        return bytes;
    }

    /// <summary>Numbers at which arithmetic goes wrong, and now and then any other.</summary>
    public ulong Number()
    {
        var near = 1ul << Below(64);
        return Below(6) switch
        {
            0 => 0,
            1 => near,
            2 => near - 1,
            3 => ulong.MaxValue - (ulong)Below(4),
            4 => (ulong)Below(300),
            _ => Next() >> Below(64),
        };
    }

    /// <summary>Changes the bytes as damage and malice do: bits, numbers, pieces lost, doubled and moved.</summary>
    public byte[] Mutate(byte[] bytes, int times, int lengthMax = 1 << 20)
    {
        for (; times > 0 && bytes.Length > 0; times--)
        {
            var at = Below(bytes.Length);
            var length = Math.Min(1 << Below(12), bytes.Length - at);
            switch (Below(9))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << Below(8));
                    break;
                case 1:
                    bytes[at] = (byte)Next();
                    break;
                case 2:
                    Put(bytes.AsSpan(at), Number());
                    break;
                case 3:
                    bytes = bytes[..at];
                    break;
                case 4:
                    bytes = [.. bytes.AsSpan(0, at), .. bytes.AsSpan(at + length)];
                    break;
                case 5:
                    bytes = [.. bytes.AsSpan(0, at), .. Bytes(Below(9)), .. bytes.AsSpan(at)];
                    break;
                case 6:
                    bytes = [.. bytes.AsSpan(0, Below(bytes.Length)), .. bytes.AsSpan(at, length), .. bytes.AsSpan(Below(bytes.Length))];
                    break;
                case 7:
                    bytes = Repeat(bytes, at, Math.Min(length, 32), lengthMax);
                    break;
                default:
                    // Codes with a length are where MessagePack is most easily misread.
                    bytes[at] = (byte)(0xc0 + Below(32));
                    break;
            }
            if (bytes.Length > lengthMax)
                bytes = bytes[..lengthMax];
        }
        return bytes;
    }

    private byte[] Repeat(byte[] bytes, int at, int length, int lengthMax)
    {
        var times = Math.Min(1 << Below(14), (lengthMax / length) + 1);
        var repeated = new byte[bytes.Length + (length * times)];
        bytes.AsSpan(0, at).CopyTo(repeated);
        for (var i = 0; i < times; i++)
            bytes.AsSpan(at, length).CopyTo(repeated.AsSpan(at + (i * length)));
        bytes.AsSpan(at).CopyTo(repeated.AsSpan(at + (length * times)));
        return repeated;
    }

    // In either order of bytes and of either width, as far as there is room.
    private void Put(Span<byte> to, ulong number)
    {
        switch (Below(6))
        {
            case 0 when to.Length >= 2:
                BinaryPrimitives.WriteUInt16BigEndian(to, (ushort)number);
                break;
            case 1 when to.Length >= 4:
                BinaryPrimitives.WriteUInt32BigEndian(to, (uint)number);
                break;
            case 2 when to.Length >= 8:
                BinaryPrimitives.WriteUInt64BigEndian(to, number);
                break;
            case 3 when to.Length >= 4:
                BinaryPrimitives.WriteUInt32LittleEndian(to, (uint)number);
                break;
            case 4 when to.Length >= 8:
                BinaryPrimitives.WriteUInt64LittleEndian(to, number);
                break;
            default:
                to[0] = (byte)number;
                break;
        }
    }
}
