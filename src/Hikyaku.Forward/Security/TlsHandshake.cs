using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Hikyaku.Forward;

/// <summary>TLS over a connected stream. What goes wrong is a <see cref="ForwardException"/> that says whose certificate is refused, by whom, and why.</summary>
internal static class TlsHandshake
{
    /// <summary>As the receiver: shows its certificate and, where there are authorities, asks for the peer's. Ends the stream where it fails.</summary>
    public static ValueTask<Stream> AcceptAsync(Stream stream, TlsFiles files, CancellationToken cancellation)
    {
        var material = files.Current();
        var settings = files.Settings;
        string? refusal = null;
        var secured = new SslStream(stream, leaveInnerStreamOpen: false);
        return RunAsync(secured, "the peer", () => refusal, secured.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = material.Own,
            EnabledSslProtocols = Protocols(settings),
            ClientCertificateRequired = material.Authorities is not null,
            CertificateChainPolicy = Policy(material),
            // A session that is taken up again was verified with the authorities of its time.
            AllowTlsResume = material.Authorities is null,
            AllowRenegotiation = false,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                material.Authorities is null || (refusal = Refusal(certificate, chain, errors, settings, host: null)) is null,
        }, cancellation));
    }

    /// <summary>As the sender: verifies that the receiver is <paramref name="host"/>, and shows a certificate if there is one. Ends the stream where it fails.</summary>
    public static ValueTask<Stream> ConnectAsync(Stream stream, TlsFiles files, string host, CancellationToken cancellation)
    {
        var material = files.Current();
        var settings = files.Settings;
        var name = settings.Name ?? host;
        string? refusal = null;
        var secured = new SslStream(stream, leaveInnerStreamOpen: false);
        return RunAsync(secured, "the receiver", () => refusal, secured.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = name,
            EnabledSslProtocols = Protocols(settings),
            ClientCertificateContext = material.Own,
            CertificateChainPolicy = Policy(material),
            AllowRenegotiation = false,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                !settings.Verify || (refusal = Refusal(certificate, chain, errors, settings, name)) is null,
        }, cancellation));
    }

    private static SslProtocols Protocols(TlsSettings settings) =>
        settings.Only13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13;

    private static X509ChainPolicy Policy(TlsMaterial material)
    {
        // Nothing is fetched: a connection must not wait for somebody else's server.
        var policy = new X509ChainPolicy { DisableCertificateDownloads = true, RevocationMode = X509RevocationMode.NoCheck };
        if (material.Authorities is not { } authorities)
            return policy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(authorities);
        return policy;
    }

    private static async ValueTask<Stream> RunAsync(SslStream secured, string peer, Func<string?> refusal, Task handshake)
    {
        try
        {
            await handshake;
            return secured;
        }
        catch (Exception e)
        {
            await secured.DisposeAsync();
            if (e is OperationCanceledException)
                throw;
            throw new ForwardException(refusal() is { } reason ? $"{peer} {reason}" : $"no TLS with {peer}: {Deepest(e)}", e);
        }
    }

    // What OpenSSL says is innermost.
    private static string Deepest(Exception e)
    {
        while (e.InnerException is { } inner)
            e = inner;
        return e.Message.TrimEnd('.');
    }

    private static string? Refusal(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors, TlsSettings settings, string? host)
    {
        if (errors == SslPolicyErrors.None)
            return null;
        if (certificate is not X509Certificate2 shown)
            return "shows no certificate";
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            var flags = chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, static (all, status) => all | status.Status) ?? X509ChainStatusFlags.NoError;
            var whose = $"shows a certificate (of {TlsMaterial.NameOf(shown)})";
            if (flags.HasFlag(X509ChainStatusFlags.NotTimeValid))
                return $"{whose} that is valid from {shown.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm}Z to {shown.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm}Z only, or whose authority's is";
            // NotSignatureValid: by another authority of the same name.
            if (flags.HasFlag(X509ChainStatusFlags.PartialChain) || flags.HasFlag(X509ChainStatusFlags.UntrustedRoot) || flags.HasFlag(X509ChainStatusFlags.NotSignatureValid))
                return $"{whose} that is not signed by {(settings.Authorities is { } file ? $"those in {file}" : "anybody this system trusts")}";
            return $"{whose} that cannot be used: {flags}";
        }
        return $"shows a certificate of {TlsMaterial.NameOf(shown)}, not of {host}";
    }
}
