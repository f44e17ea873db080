using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Hikyaku.Forward;

/// <summary>What lies in the files of a <see cref="TlsSettings"/>, ready for use.</summary>
public sealed class TlsMaterial
{
    private const int FileBytesMax = 1 << 20;

    private TlsMaterial(SslStreamCertificateContext? own, X509Certificate2Collection? authorities, IReadOnlyList<(string, X509Certificate2)> certificates) =>
        (Own, Authorities, Certificates) = (own, authorities, certificates);

    internal SslStreamCertificateContext? Own { get; }

    internal X509Certificate2Collection? Authorities { get; }

    /// <summary>All of them, each with the file it comes from.</summary>
    public IReadOnlyList<(string File, X509Certificate2 Certificate)> Certificates { get; }

    /// <summary>Whether OpenSSL, which TLS and shared keys need, is there; the runtime ends the process where it looks for it in vain.</summary>
    public static bool IsAvailable { get; } = new[] { "libssl.so.3", "libssl.so.1.1" }.Any(static library =>
        System.Runtime.InteropServices.NativeLibrary.TryLoad(library, out _));

    /// <summary>Reads the files and sees whether they can be used. Throws <see cref="ForwardException"/> naming the file and what is wrong with it.</summary>
    public static TlsMaterial Load(TlsSettings settings) => Load(settings, ReadFiles(settings));

    /// <summary>Whom a certificate names first, fit for a message: anybody can make one, with any bytes in it.</summary>
    public static string NameOf(X509Certificate2 certificate) =>
        Printable.Text(Encoding.UTF8.GetBytes(certificate.GetNameInfo(X509NameType.DnsName, false) is { Length: > 0 } name ? name : certificate.Subject));

    // The texts of certificate, key and authorities; "" for what is not there.
    internal static string[] ReadFiles(TlsSettings settings) => [ReadFile(settings.Certificate), ReadFile(settings.Key), ReadFile(settings.Authorities)];

    internal static TlsMaterial Load(TlsSettings settings, string[] texts)
    {
        var certificates = new List<(string, X509Certificate2)>();
        var own = settings.Certificate is { } file ? LoadOwn(file, settings.Key!, texts[0], texts[1], certificates) : null;
        X509Certificate2Collection? authorities = null;
        if (settings.Authorities is { } path)
        {
            authorities = Parse(path, texts[2]);
            // Only there a chain of certificates may end.
            if (!authorities.Any(static c => c.SubjectName.RawData.AsSpan().SequenceEqual(c.IssuerName.RawData)))
                throw new ForwardException($"{path}: holds no root certificate (one that signed itself), so no certificate could be verified with it");
            certificates.AddRange(authorities.Select(c => (path, c)));
        }
        return new TlsMaterial(own, authorities, certificates);
    }

    private static SslStreamCertificateContext LoadOwn(string file, string keyFile, string text, string keyText, List<(string, X509Certificate2)> certificates)
    {
        var chain = Parse(file, text);
        certificates.AddRange(chain.Select(c => (file, c)));
        if (keyText.Contains("ENCRYPTED", StringComparison.Ordinal))
            throw new ForwardException($"{keyFile}: the key has a pass phrase; expected is one without (openssl pkey -in {keyFile} -out NEW)");
        X509Certificate2 own;
        try
        {
            own = X509Certificate2.CreateFromPem(text, keyText);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new ForwardException($"{keyFile}: {(keyText.Contains("PRIVATE KEY", StringComparison.Ordinal) ? $"does not belong to the certificate in {file}, or cannot be read" : "holds no private key in PEM")}", e);
        }
        chain.RemoveAt(0);
        return SslStreamCertificateContext.Create(own, chain, offline: true);
    }

    private static X509Certificate2Collection Parse(string file, string text)
    {
        var found = new X509Certificate2Collection();
        try
        {
            found.ImportFromPem(text);
        }
        catch (CryptographicException e)
        {
            throw new ForwardException($"{file}: holds a certificate that cannot be read", e);
        }
        return found.Count > 0 ? found : throw new ForwardException($"{file}: holds no certificate in PEM");
    }

    private static string ReadFile(string? path)
    {
        if (path is null)
            return "";
        try
        {
            if (new FileInfo(path).Length > FileBytesMax)
                throw new ForwardException($"{path}: larger than {FileBytesMax >> 20} MiB; this is no certificate or key");
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ForwardException($"{path}: there is no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ForwardException($"{path}: cannot be read: {(e is UnauthorizedAccessException ? "no permission" : e.Message)}", e);
        }
    }
}
