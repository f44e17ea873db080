using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Hikyaku.Tests.Forward;

/// <summary>A certificate authority in a directory of its own, which writes certificates and keys as PEM files.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly X509Certificate2 _own;
    private int _issued;

    public TestAuthority(string name = "Test authority")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-400), DateTimeOffset.UtcNow.AddDays(400));
        File.WriteAllText(Path.Join(Folder, "ca.pem"), _own.ExportCertificatePem() + "\n");
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("hikyaku-ca-").FullName;

    public string Own => Path.Join(Folder, "ca.pem");

    /// <summary>Writes NAME.pem and NAME.key and returns their paths.</summary>
    public (string Certificate, string Key) Issue(string name, string host = "localhost", double days = 90, double since = -1)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        if (IPAddress.TryParse(host, out var address))
            names.AddIpAddress(address);
        else
            names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, false));
        using var certificate = request.Create(_own, DateTimeOffset.UtcNow.AddDays(since), DateTimeOffset.UtcNow.AddDays(days), BitConverter.GetBytes(++_issued));
        var paths = (Path.Join(Folder, name + ".pem"), Path.Join(Folder, name + ".key"));
        Put(paths.Item1, certificate.ExportCertificatePem() + "\n");
        Put(paths.Item2, key.ExportPkcs8PrivateKeyPem());
        return paths;
    }

    // By rename, as those do who replace certificates.
    private static void Put(string path, string text)
    {
        File.WriteAllText(path + ".new", text);
        File.SetUnixFileMode(path + ".new", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.Move(path + ".new", path, overwrite: true);
    }

    public void Dispose()
    {
        _own.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}
