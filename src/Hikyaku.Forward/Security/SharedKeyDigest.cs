using System.Security.Cryptography;
using System.Text;

namespace Hikyaku.Forward;

/// <summary>The proofs of the handshake: SHA-512 over parts that lie one behind the other, as 128 lower-case hex digits.</summary>
internal static class SharedKeyDigest
{
    /// <summary>That who calls itself <paramref name="host"/> knows the key.</summary>
    public static byte[] OfKey(ReadOnlySpan<byte> salt, ReadOnlySpan<byte> host, ReadOnlySpan<byte> nonce, Secret key)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
        hash.AppendData(salt);
        hash.AppendData(host);
        hash.AppendData(nonce);
        hash.AppendData(key.Bytes);
        return Hex(hash);
    }

    /// <summary>That the user knows the password.</summary>
    public static byte[] OfPassword(ReadOnlySpan<byte> auth, ReadOnlySpan<byte> user, ReadOnlySpan<byte> password)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
        hash.AppendData(auth);
        hash.AppendData(user);
        hash.AppendData(password);
        return Hex(hash);
    }

    /// <summary>In a time that does not tell where they differ.</summary>
    public static bool AreEqual(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other) => CryptographicOperations.FixedTimeEquals(one, other);

    private static byte[] Hex(IncrementalHash hash) => Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash.GetHashAndReset()));
}
