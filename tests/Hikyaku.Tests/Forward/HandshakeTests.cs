using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class HandshakeTests
{
    private const string HeloHex = "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0fa461757468c410101112131415161718191a1b1c1d1e1fa96b656570616c697665c3";
    private const string HeloWithoutUsersHex = "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0fa461757468a0a96b656570616c697665c3";
    private const string PingHex = "96a450494e47ae636c69656e742e6578616d706c65d9203030313132323333343435353636373738383939616162626363646465656666d9806162303464316233396138343037373565323564646333656639666431366335643435623461343065306637666364653833313832666436313331313161636266323536653735643362656136376331316362336262646630333163366163373037336463383635643161373437343662333165323663393539633332323732a5616c696365d9806339313131386535363639616666646263353533646564373036316133633363316630313564333233363531353037303133343461373533343466663963343936383334376362623261656264373638356631383463616366623761303432373665636337363761666433653337363830376562333930663133333564386562";
    private const string PongHex = "95a4504f4e47c3a0ae7365727665722e6578616d706c65d9806635313661623262323638396364313837663036313863656462326630643932346466326661623036623738613062663233396131336334303833353836663563633237353938363438323064333237303965363735613738373533343561323036613863633130643638613465653638393431646138653833363331643561";
    private const string RefusedHex = "95a4504f4e47c2b37368617265645f6b6579206d69736d61746368a0a0";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly Secret Key = new("secret_string");
    private static readonly ForwardUser Alice = new("alice", new Secret("pa55"));

    private readonly ConcurrentQueue<string> _reports = new();
    private readonly SteppedTime _time = new();
    private int _messages;

    [Fact]
    public async Task The_receiver_says_byte_for_byte_what_the_vectors_say()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server("server.example", new AdmissionSettings { SharedKey = Key, Users = [Alice] }).ServeAsync(pair.Far, "peer", default);
        Assert.Equal(HeloHex, await ReadHexAsync(pair.Near, HeloHex.Length / 2));
        await pair.Near.WriteAsync(Vectors.Bytes(PingHex));
        Assert.Equal(PongHex, await ReadHexAsync(pair.Near, PongHex.Length / 2));
        await pair.Near.WriteAsync(Vectors.Bytes(Vectors.MessageChunk));
        Assert.Equal(Vectors.AckOfMessageChunk, await ReadHexAsync(pair.Near, Vectors.AckOfMessageChunk.Length / 2));
        pair.Near.Dispose();
        await serving.WaitAsync(Patience);
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task The_sender_says_byte_for_byte_what_the_vectors_say()
    {
        using var pair = await ConnectedPair.CreateAsync();
        // Salt: the digits that the vectors have.
        var opening = new Credentials(new CredentialSettings { SharedKey = Key, User = Alice }, "client.example",
            static bytes => Convert.FromHexString("00112233445566778899aabbccddeeff").CopyTo(bytes), _time, _reports.Enqueue).OpenAsync(pair.Near, "x", default);
        await pair.Far.WriteAsync(Vectors.Bytes(HeloHex));
        Assert.Equal(PingHex, await ReadHexAsync(pair.Far, PingHex.Length / 2));
        // In pieces, which fluentd's sender does not take.
        foreach (var b in Vectors.Bytes(PongHex))
            await pair.Far.WriteAsync(new[] { b });
        Assert.Same(pair.Near, await opening.AsTask().WaitAsync(Patience));
    }

    [Fact]
    public async Task A_receiver_without_users_asks_for_none()
    {
        using var pair = await ConnectedPair.CreateAsync();
        _ = Server("server.example", new AdmissionSettings { SharedKey = Key }).ServeAsync(pair.Far, "peer", default);
        Assert.Equal(HeloWithoutUsersHex, await ReadHexAsync(pair.Near, HeloWithoutUsersHex.Length / 2));
    }

    [Fact]
    public async Task Both_ends_agree_with_a_key_and_with_a_user()
    {
        foreach (var users in new ForwardUser[][] { [], [new ForwardUser("bob", new Secret("x")), Alice] })
        {
            using var pair = await ConnectedPair.CreateAsync();
            var admission = Door(new AdmissionSettings { SharedKey = Key, Users = users });
            _ = new ForwardServer(StoreAsync, _reports.Enqueue, admission: admission).ServeAsync(pair.Far, "peer", default);
            await using var connection = new ForwardConnection(await OpenAsync(pair.Near, Key, Alice), static _ => { });
            await connection.SendAsync(Vectors.Bytes(Vectors.MessageChunk));
            await Until(() => Volatile.Read(ref _messages) > 0);
            Assert.Equal((1, 0), (admission.Status().Inside, admission.Status().Refused));
            _messages = 0;
        }
        Assert.Empty(_reports);
    }

    [Theory]
    [InlineData("wrong", "alice", "pa55", "the receiver refuses the shared key", "has another shared key (it calls itself client)")]
    [InlineData("secret_string", "alice", "wrong", "the receiver refuses user alice or the password", "is no user known here, or has another password (user alice)")]
    [InlineData("secret_string", "mallory", "pa55", "the receiver refuses user mallory or the password", "is no user known here, or has another password (user mallory)")]
    [InlineData("secret_string", null, "", "the receiver refuses who names no user", "is no user known here, or has another password (user )")]
    public async Task Who_cannot_prove_who_he_is_gets_a_reason_and_nothing_goes_further(string key, string? user, string password, string told, string reported)
    {
        var admission = Door(new AdmissionSettings { SharedKey = Key, Users = [Alice] });
        var server = new ForwardServer(StoreAsync, _reports.Enqueue, admission: admission);
        for (var i = 0; i < 3; i++)
        {
            using var pair = await ConnectedPair.CreateAsync();
            var serving = server.ServeAsync(pair.Far, "10.1.2.3", default);
            var e = await Assert.ThrowsAsync<ForwardException>(() => OpenAsync(pair.Near, new Secret(key), user is null ? null : new ForwardUser(user, new Secret(password))));
            Assert.Equal(told, e.Message);
            await serving.WaitAsync(Patience);
        }
        // However often it tries.
        Assert.Equal($"10.1.2.3: {reported}; connection closed", Assert.Single(_reports));
        Assert.Equal((0, 3, 0), (admission.Status().Inside, admission.Status().Refused, _messages));
        Assert.DoesNotContain(_reports, r => r.Contains("secret_string", StringComparison.Ordinal) || r.Contains("pa55", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_PING_that_was_overheard_is_worth_nothing_on_another_connection()
    {
        var server = new ForwardServer(StoreAsync, _reports.Enqueue, admission: new Admission(
            new AdmissionSettings { SharedKey = Key, Users = [Alice] }, "server.example", NoLookup, System.Security.Cryptography.RandomNumberGenerator.Fill, _time, _reports.Enqueue));
        using var pair = await ConnectedPair.CreateAsync();
        var serving = server.ServeAsync(pair.Far, "peer", default);
        Assert.NotEqual(HeloHex, await ReadHexAsync(pair.Near, HeloHex.Length / 2));
        await pair.Near.WriteAsync(Vectors.Bytes(PingHex, Vectors.MessageChunk));
        Assert.Equal(RefusedHex, await ReadHexAsync(pair.Near, RefusedHex.Length / 2));
        await serving.WaitAsync(Patience);
        Assert.Equal(0, _messages);
    }

    [Theory]
    [InlineData(Vectors.MessageChunk, "sends no PING, though a shared key is asked for", true)]
    [InlineData("16030100c8010000c40303", "sends TLS", true)]
    [InlineData("96a450494e47a161a162a163a0", "closed in the middle of a PING (13 bytes of it came)", false)]
    // A PING whose host claims 4 GiB.
    [InlineData("96a450494e47dbffffffff", "closed in the middle of a PING (11 bytes of it came)", false)]
    // A PING of seven.
    [InlineData("97a450494e47a161a162a163a0a0a0", "sends no PING", true)]
    public async Task What_is_no_PING_is_refused(string hex, string reported, bool answered)
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server("server", new AdmissionSettings { SharedKey = Key }).ServeAsync(pair.Far, "peer", default);
        await ReadHexAsync(pair.Near, HeloWithoutUsersHex.Length / 2);
        await pair.Near.WriteAsync(Vectors.Bytes(hex));
        pair.Near.Socket.Shutdown(SocketShutdown.Send);
        await serving.WaitAsync(Patience);
        Assert.Contains(reported, Assert.Single(_reports), StringComparison.Ordinal);
        Assert.Equal(0, _messages);
        if (answered)
            Assert.StartsWith("95a4504f4e47c2", await ReadHexAsync(pair.Near, 20), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_PING_that_never_ends_costs_no_more_than_an_idle_connection()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server("server", new AdmissionSettings { SharedKey = Key }).ServeAsync(pair.Far, "peer", default);
        await ReadHexAsync(pair.Near, HeloWithoutUsersHex.Length / 2);
        await pair.Near.WriteAsync(Vectors.Bytes("96a450494e47db01000000"));
        await pair.Near.WriteAsync(new byte[5000]);
        await serving.WaitAsync(Patience);
        Assert.Equal("peer: sends a PING of more than 4096 bytes; connection closed", Assert.Single(_reports));
    }

    [Fact]
    public async Task Who_says_nothing_has_ten_seconds()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server("server", new AdmissionSettings { SharedKey = Key }).ServeAsync(pair.Far, "peer", default);
        await ReadHexAsync(pair.Near, HeloWithoutUsersHex.Length / 2);
        await pair.Near.WriteAsync(new byte[] { 0x96 });
        _time.Advance(Admission.PassTime - TimeSpan.FromMilliseconds(1));
        Assert.False(serving.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await serving.WaitAsync(Patience);
        Assert.Equal("peer: has not proved who it is within 10 s; connection closed", Assert.Single(_reports));
    }

    [Fact]
    public async Task A_check_of_the_port_is_met_with_silence()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server("server", new AdmissionSettings { SharedKey = Key }).ServeAsync(pair.Far, "peer", default);
        pair.Near.Dispose();
        await serving.WaitAsync(Patience);
        Assert.Empty(_reports);
    }

    [Theory]
    // Its own name; a proof of nothing; no PONG; and one that goes on.
    [InlineData("95a4504f4e47c3a0a6636c69656e74a0", "the receiver calls itself client, as this host does")]
    [InlineData("95a4504f4e47c3a0a6736572766572a0", "the receiver does not know the shared key itself")]
    [InlineData("95a4504f4e47c2a47768796fa0a0", "the receiver refuses this host: whyo")]
    [InlineData("81a361636ba178", "the receiver sent no PONG, but ")]
    [InlineData("95a4504f4e47c3a0a6736572766572a0c0", "the receiver sent no PONG, but ")]
    public async Task A_receiver_that_proves_nothing_gets_no_line(string hex, string why)
    {
        using var pair = await ConnectedPair.CreateAsync();
        var opening = OpenAsync(pair.Near, Key, Alice);
        await pair.Far.WriteAsync(Vectors.Bytes(HeloHex));
        await ReadHexAsync(pair.Far, 100);
        await pair.Far.WriteAsync(Vectors.Bytes(hex));
        var e = await Assert.ThrowsAsync<ForwardException>(() => opening);
        Assert.StartsWith(why, e.Message, StringComparison.Ordinal);
        Assert.False(pair.Near.CanRead);
    }

    [Fact]
    public async Task What_was_sent_to_a_receiver_is_no_proof_when_it_comes_back()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var opening = OpenAsync(pair.Near, Key, null);
        await pair.Far.WriteAsync(Vectors.Bytes(HeloWithoutUsersHex));
        var bytes = new byte[4096];
        var count = await pair.Far.ReadAsync(bytes);
        Assert.Equal(ReadResult.Success, Ping.TryParse(bytes.AsSpan(0, count), out var ping));
        var answer = new ByteBuffer();
        new Pong { IsAccepted = true, Host = ping.Host, KeyProof = ping.KeyProof }.Write(answer);
        await pair.Far.WriteAsync(answer.WrittenMemory);
        await Assert.ThrowsAsync<ForwardException>(() => opening);
    }

    [Fact]
    public async Task A_receiver_that_asks_for_no_key_is_named()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var opening = OpenAsync(pair.Near, Key, Alice);
        await Until(() => _time.IsAwaited(ClientHandshake.AnswerTime));
        _time.Advance(ClientHandshake.AnswerTime);
        var e = await Assert.ThrowsAsync<ForwardException>(() => opening);
        Assert.Equal("within 5 s the receiver sent no HELO; it asks for no shared key, or takes TLS", e.Message);
    }

    [Fact]
    public void No_secret_is_ever_printed()
    {
        var admission = new AdmissionSettings { SharedKey = Key, Users = [Alice] };
        var credentials = new CredentialSettings { SharedKey = Key, User = Alice };
        foreach (var text in new[] { $"{Key}", $"{admission}", $"{credentials}", $"{Alice}", admission.Describe(), credentials.Describe() })
        {
            Assert.DoesNotContain("secret_string", text, StringComparison.Ordinal);
            Assert.DoesNotContain("pa55", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_handshake_survives_random_bytes()
    {
        var dice = new Random(1);
        foreach (var hex in new[] { HeloHex, PingHex, PongHex, RefusedHex })
        {
            for (var i = 0; i < 20_000; i++)
            {
                var bytes = Vectors.Bytes(hex);
                for (var changes = dice.Next(1, 4); changes > 0; changes--)
                    bytes[dice.Next(bytes.Length)] = (byte)dice.Next(256);
                var cut = bytes.AsSpan(0, dice.Next(bytes.Length + 1));
                if (Helo.TryParse(cut, out var helo) == ReadResult.Success)
                    Assert.InRange(helo.Consumed, 1, cut.Length);
                if (Ping.TryParse(cut, out var ping) == ReadResult.Success)
                    Assert.InRange(ping.Consumed, 1, cut.Length);
                if (Pong.TryParse(cut, out var pong) == ReadResult.Success)
                    Assert.InRange(pong.Consumed, 1, cut.Length);
            }
        }
    }

    private Task<Stream> OpenAsync(Stream stream, Secret key, ForwardUser? user) =>
        new Credentials(new CredentialSettings { SharedKey = key, User = user }, "client", System.Security.Cryptography.RandomNumberGenerator.Fill, _time, _reports.Enqueue)
            .OpenAsync(stream, "x", default).AsTask().WaitAsync(Patience);

    private ForwardServer Server(string name, AdmissionSettings settings) => new(StoreAsync, _reports.Enqueue, admission: Door(settings, name));

    // Nonce and auth as the vectors have them: 00 to 0f, and 10 to 1f.
    private Admission Door(AdmissionSettings settings, string name = "server")
    {
        byte next = 0;
        return new Admission(settings, name, NoLookup, bytes =>
        {
            for (var i = 0; i < bytes.Length; i++)
                bytes[i] = next++;
        }, _time, _reports.Enqueue);
    }

    private static Task<IPAddress[]> NoLookup(string host, CancellationToken cancellation) => throw new InvalidOperationException();

    private ValueTask<bool> StoreAsync(ForwardMessage message, ForwardPeer peer, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _messages);
        return ValueTask.FromResult(true);
    }

    private static async Task<string> ReadHexAsync(Stream stream, int count)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes).AsTask().WaitAsync(Patience);
        return Convert.ToHexStringLower(bytes);
    }

    private static async Task Until(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!condition())
            await Task.Delay(1, limit.Token);
    }
}
