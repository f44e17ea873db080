using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class TlsTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentQueue<string> _reports = new();
    private readonly ConcurrentQueue<string> _senderReports = new();
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _other = new("Another authority");
    private readonly SteppedTime _time = new();
    private int _messages;

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task Both_ends_agree_with_and_without_client_certificates_and_with_a_key(bool isMutual, bool hasKey)
    {
        var admission = Door(Receiver(isMutual ? _authority : null), hasKey);
        var sender = Sender(_authority, isMutual ? _authority : null);
        await SendAsync(admission, sender, hasKey);
        Assert.Equal((0, 1), (admission.Status().Refused, _messages));
        Assert.Empty(_reports);
        Assert.Empty(_senderReports);
    }

    [Fact]
    public async Task A_message_of_many_frames_arrives_and_is_acked()
    {
        var chunk = new ChunkWriter();
        chunk.Begin("big"u8);
        var line = new byte[1 << 20];
        new Random(1).NextBytes(line);
        for (var i = 0; i < 16; i++)
            chunk.Add(i, line);
        var bytes = chunk.Finish(new ChunkOptions { Id = "big"u8 }).ToArray();
        await SendAsync(Door(Receiver(null)), Sender(_authority, null), message: bytes);
        Assert.Equal(1, _messages);
    }

    [Fact]
    public async Task A_receiver_that_is_another_host_is_refused()
    {
        var e = await Assert.ThrowsAsync<ForwardException>(() => SendAsync(Door(Receiver(null, "other.example")), Sender(_authority, null)));
        Assert.Equal("the receiver shows a certificate of other.example, not of localhost", e.Message);
        await SendAsync(Door(Receiver(null, "other.example")), Sender(_authority, null) with { Name = "other.example" });
        await SendAsync(Door(Receiver(null, "other.example")), Sender(_authority, null) with { Authorities = null, Verify = false });
        Assert.Equal(2, _messages);
    }

    [Fact]
    public async Task A_receiver_that_the_authority_does_not_know_is_refused()
    {
        var e = await Assert.ThrowsAsync<ForwardException>(() => SendAsync(Door(Receiver(null)), Sender(_other, null)));
        Assert.Equal($"the receiver shows a certificate (of localhost) that is not signed by those in {_other.Own}", e.Message);
        e = await Assert.ThrowsAsync<ForwardException>(() => SendAsync(Door(Receiver(null)), Sender(_other, null) with { Authorities = null }));
        Assert.Equal("the receiver shows a certificate (of localhost) that is not signed by anybody this system trusts", e.Message);
    }

    [Fact]
    public async Task A_certificate_that_has_expired_is_refused_and_reported_at_its_own_end()
    {
        var (certificate, key) = _authority.Issue("old", days: -1, since: -30);
        var admission = Door(new TlsSettings { Certificate = certificate, Key = key }, time: TimeProvider.System);
        var e = await Assert.ThrowsAsync<ForwardException>(() => SendAsync(admission, Sender(_authority, null)));
        Assert.Contains("the receiver shows a certificate (of localhost) that is valid from ", e.Message, StringComparison.Ordinal);
        Assert.Contains(_reports, r => r.StartsWith($"{certificate}: the certificate of localhost expired on ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_certificate_that_ends_soon_is_reported_once()
    {
        var (certificate, key) = _authority.Issue("soon", days: 5.5);
        var admission = Door(new TlsSettings { Certificate = certificate, Key = key }, time: TimeProvider.System);
        await SendAsync(admission, Sender(_authority, null));
        await SendAsync(admission, Sender(_authority, null));
        Assert.EndsWith(", in 5 days", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_without_a_certificate_of_the_authority_is_refused()
    {
        var admission = Door(Receiver(_authority));
        foreach (var (client, reported) in new[] { (null, "127.0.0.1: the peer shows no certificate"), (_other, $"127.0.0.1: the peer shows a certificate (of client) that is not signed by those in {_authority.Own}") })
        {
            await Assert.ThrowsAnyAsync<Exception>(() => SendAsync(admission, Sender(_authority, client)));
            await Until(() => _reports.Contains($"{reported}; connection closed"));
        }
        Assert.Equal((2, 0), (admission.Status().Refused, _messages));
    }

    [Fact]
    public async Task Plain_text_where_TLS_is_asked_for_is_named()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server(Door(Receiver(null))).ServeAsync(pair.Far, "peer", default);
        await pair.Near.WriteAsync(Vectors.Bytes(Vectors.MessageChunk));
        await serving.WaitAsync(Patience);
        Assert.Equal("peer: does not speak TLS, which is asked for here; connection closed", Assert.Single(_reports));
        Assert.Equal(0, _messages);
    }

    [Fact]
    public async Task TLS_where_plain_text_is_asked_for_is_named_at_both_ends()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = new ForwardServer(StoreAsync, _reports.Enqueue).ServeAsync(pair.Far, "peer", default);
        var e = await Assert.ThrowsAsync<ForwardException>(() => OpenAsync(pair.Near, Sender(_authority, null)));
        Assert.StartsWith("no TLS with the receiver: ", e.Message, StringComparison.Ordinal);
        await serving.WaitAsync(Patience);
        Assert.Contains("sends TLS; this receiver takes plain TCP", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Half_a_handshake_is_given_up_after_ten_seconds()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server(Door(Receiver(null))).ServeAsync(pair.Far, "peer", default);
        await pair.Near.WriteAsync(Vectors.Bytes("1603010200010001fc0303"));
        await Until(() => _time.IsAwaited(Admission.PassTime));
        _time.Advance(Admission.PassTime);
        await serving.WaitAsync(Patience);
        Assert.Contains("has not proved who it is within 10 s", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_is_looked_at_stays_silent()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server(Door(Receiver(null))).ServeAsync(pair.Far, "peer", default);
        pair.Near.Dispose();
        await serving.WaitAsync(Patience);
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task A_port_that_is_looked_at_and_reset_stays_silent()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server(Door(Receiver(null))).ServeAsync(pair.Far, "peer", default);
        pair.Near.Socket.LingerState = new LingerOption(true, 0);
        pair.Near.Dispose();
        await serving.WaitAsync(Patience);
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task What_a_certificate_names_is_short_and_printable_in_a_report()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=\"\u001b[2J{new string('x', 5000)}\"", key, HashAlgorithmName.SHA256);
        using var shown = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var paths = (Certificate: Path.Join(_other.Folder, "odd.pem"), Key: Path.Join(_other.Folder, "odd.key"));
        File.WriteAllText(paths.Certificate, shown.ExportCertificatePem());
        File.WriteAllText(paths.Key, key.ExportPkcs8PrivateKeyPem());
        await Assert.ThrowsAnyAsync<Exception>(() => SendAsync(Door(Receiver(_authority)), Sender(_authority, null) with { Certificate = paths.Certificate, Key = paths.Key }));
        await Until(() => !_reports.IsEmpty);
        Assert.Contains("shows a certificate (of ", Assert.Single(_reports), StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', _reports.First());
        Assert.InRange(_reports.First().Length, 1, 300);
    }

    [Fact]
    public async Task Authorities_are_a_root_and_what_is_between()
    {
        var now = DateTimeOffset.UtcNow;
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var betweenKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var leafKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var root = Request("CN=A root", rootKey, isAuthority: true).CreateSelfSigned(now.AddDays(-2), now.AddDays(90));
        using var bare = Request("CN=Between", betweenKey, isAuthority: true).Create(root, now.AddDays(-2), now.AddDays(80), [1]);
        using var between = bare.CopyWithPrivateKey(betweenKey);
        using var leaf = Request("CN=localhost", leafKey, isAuthority: false).Create(between, now.AddDays(-1), now.AddDays(70), [2]);
        var receiver = new TlsSettings { Certificate = Write("leaf.pem", leaf.ExportCertificatePem()), Key = Write("leaf.key", leafKey.ExportPkcs8PrivateKeyPem()) };
        await SendAsync(Door(receiver), new TlsSettings { Authorities = Write("both.pem", bare.ExportCertificatePem() + "\n" + root.ExportCertificatePem()) });
        Assert.Equal(1, _messages);
        var alone = Write("between.pem", bare.ExportCertificatePem());
        var e = Assert.Throws<ForwardException>(() => TlsMaterial.Load(new TlsSettings { Authorities = alone }));
        Assert.Equal($"{alone}: holds no root certificate (one that signed itself), so no certificate could be verified with it", e.Message);

        string Write(string name, string text)
        {
            var path = Path.Join(_authority.Folder, name);
            File.WriteAllText(path, text);
            return path;
        }

        static CertificateRequest Request(string name, ECDsa key, bool isAuthority)
        {
            var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, true));
            if (!isAuthority)
            {
                var names = new SubjectAlternativeNameBuilder();
                names.AddDnsName("localhost");
                request.CertificateExtensions.Add(names.Build());
            }
            return request;
        }
    }

    [Fact]
    public async Task Older_versions_of_TLS_are_refused()
    {
        foreach (var (only13, offered, isTaken) in new[] { (false, System.Security.Authentication.SslProtocols.Tls12, true), (true, System.Security.Authentication.SslProtocols.Tls12, false), (true, System.Security.Authentication.SslProtocols.Tls13, true) })
        {
            using var pair = await ConnectedPair.CreateAsync();
            var serving = Server(Door(Receiver(null) with { Only13 = only13 })).ServeAsync(pair.Far, "peer", default);
            await using var client = new SslStream(pair.Near);
            var handshake = client.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", EnabledSslProtocols = offered, RemoteCertificateValidationCallback = delegate { return true; } });
            if (isTaken)
                await handshake.WaitAsync(Patience);
            else
                await Assert.ThrowsAnyAsync<Exception>(() => handshake.WaitAsync(Patience));
            client.Close();
            await serving.WaitAsync(Patience);
        }
    }

    [Fact]
    public async Task Certificates_that_are_replaced_are_used_and_broken_ones_are_not()
    {
        var receiver = Receiver(null);
        var admission = Door(receiver);
        await SendAsync(admission, Sender(_authority, null));
        // Another authority's, under the same names.
        var (certificate, key) = _other.Issue("new");
        File.Copy(certificate, receiver.Certificate!, overwrite: true);
        // Half of it is there.
        _time.Advance(TimeSpan.FromSeconds(2));
        await SendAsync(admission, Sender(_authority, null));
        Assert.Empty(_reports);
        _time.Advance(TimeSpan.FromSeconds(2));
        await SendAsync(admission, Sender(_authority, null));
        await SendAsync(admission, Sender(_authority, null));
        Assert.Equal($"{receiver.Key}: does not belong to the certificate in {receiver.Certificate}, or cannot be read; going on with what was there before", Assert.Single(_reports));
        File.Copy(key, receiver.Key!, overwrite: true);
        _time.Advance(TimeSpan.FromSeconds(2));
        await SendAsync(admission, Sender(_other, null));
        Assert.Equal($"{receiver.Certificate}: changed; new connections use it from now on", _reports.ElementAt(1));
        File.Delete(receiver.Key!);
        for (var i = 0; i < 3; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            await SendAsync(admission, Sender(_other, null));
        }
        Assert.Equal($"{receiver.Key}: there is no such file; going on with what was there before", _reports.ElementAt(2));
        Assert.Equal((3, 8), (_reports.Count, _messages));
    }

    [Theory]
    [InlineData("-brief -CAfile {ca} -verify_return_error -verify_hostname localhost", true)]
    [InlineData("-brief -CAfile {ca} -verify_return_error -verify_hostname other.example", false)]
    [InlineData("-brief -CAfile {ca} -verify_return_error -tls1_2", true)]
    [InlineData("-brief -CAfile {ca} -verify_return_error -tls1_1 -cipher DEFAULT@SECLEVEL=0", false)]
    public async Task OpenSSL_agrees(string options, bool isTaken)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        using var client = Process.Start(new ProcessStartInfo("openssl", $"s_client -connect localhost:{port} {options.Replace("{ca}", _authority.Own, StringComparison.Ordinal)}")
        {
            RedirectStandardInput = true, RedirectStandardError = true, RedirectStandardOutput = true,
        })!;
        var serving = Server(Door(Receiver(null))).ServeAsync(new NetworkStream(await listener.AcceptAsync(), ownsSocket: true), "peer", default);
        if (isTaken)
        {
            await client.StandardInput.BaseStream.WriteAsync(Vectors.Bytes(Vectors.MessageChunk));
            await client.StandardInput.BaseStream.FlushAsync();
            var ack = new byte[Vectors.AckOfMessageChunk.Length / 2];
            await client.StandardOutput.BaseStream.ReadExactlyAsync(ack).AsTask().WaitAsync(Patience);
            Assert.Equal(Vectors.AckOfMessageChunk, Convert.ToHexStringLower(ack));
        }
        client.StandardInput.Close();
        await client.WaitForExitAsync().WaitAsync(Patience);
        await serving.WaitAsync(Patience);
        Assert.Equal(isTaken ? 1 : 0, _messages);
    }

    [Theory]
    [InlineData("", "holds no certificate in PEM")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds a certificate that cannot be read")]
    public void A_file_without_a_certificate_is_named(string text, string why)
    {
        var (certificate, key) = _authority.Issue("x");
        File.WriteAllText(certificate, text);
        var e = Assert.Throws<ForwardException>(() => TlsMaterial.Load(new TlsSettings { Certificate = certificate, Key = key }));
        Assert.Equal($"{certificate}: {why}", e.Message);
    }

    private TlsSettings Receiver(TestAuthority? clients, string host = "localhost")
    {
        var (certificate, key) = _authority.Issue("receiver", host);
        return new TlsSettings { Certificate = certificate, Key = key, Authorities = clients?.Own };
    }

    private static TlsSettings Sender(TestAuthority trusted, TestAuthority? own)
    {
        var paths = own?.Issue("client", "client");
        return new TlsSettings { Authorities = trusted.Own, Certificate = paths?.Certificate, Key = paths?.Key };
    }

    private Admission Door(TlsSettings tls, bool hasKey = false, TimeProvider? time = null) => new(
        new AdmissionSettings { Tls = tls, SharedKey = hasKey ? new Secret("key") : null }, "receiver",
        static (_, _) => throw new InvalidOperationException(), RandomNumberGenerator.Fill, time ?? _time, _reports.Enqueue);

    private ForwardServer Server(Admission admission) => new(StoreAsync, _reports.Enqueue, admission: admission);

    private Task<Stream> OpenAsync(Stream stream, TlsSettings tls, bool hasKey = false) =>
        new Credentials(new CredentialSettings { Tls = tls, SharedKey = hasKey ? new Secret("key") : null }, "sender", RandomNumberGenerator.Fill,
            TimeProvider.System, _senderReports.Enqueue).OpenAsync(stream, "localhost", default).AsTask().WaitAsync(Patience);

    // One message and its ack.
    private async Task SendAsync(Admission admission, TlsSettings sender, bool hasKey = false, byte[]? message = null)
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server(admission).ServeAsync(pair.Far, "127.0.0.1", default);
        var acked = new TaskCompletionSource();
        await using (var connection = new ForwardConnection(await OpenAsync(pair.Near, sender, hasKey), _ => acked.TrySetResult()))
        {
            await connection.SendAsync(message ?? Vectors.Bytes(Vectors.MessageChunk));
            var ended = await Task.WhenAny(acked.Task, connection.Closed).WaitAsync(Patience);
            if (ended == connection.Closed)
                throw new IOException(await connection.Closed);
        }
        await serving.WaitAsync(Patience);
    }

    private ValueTask<bool> StoreAsync(ForwardMessage message, ForwardPeer peer, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _messages);
        return ValueTask.FromResult(true);
    }

    private static async Task Until(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!condition())
            await Task.Delay(1, limit.Token);
    }

    public void Dispose()
    {
        _authority.Dispose();
        _other.Dispose();
    }
}
