using System.Net;
using Hikyaku.Commands;
using Hikyaku.Config;
using Hikyaku.Tests.Forward;
using Xunit;

namespace Hikyaku.Tests.Config;

public sealed class SecurityTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly (string Certificate, string Key) _own;

    public SecurityTests() => _own = _authority.Issue("own");

    [Fact]
    public void A_receiver_that_asks_for_everything_is_understood()
    {
        File.WriteAllText(Path.Join(_authority.Folder, "key"), "from a file\n");
        var admission = ConfigurationText.Load(Receiver($$"""
            tls: { cert: {{_own.Certificate}}, key: {{_own.Key}}, ca: {{_authority.Own}}, min: "1.3" }
                shared_key_file: {{_authority.Folder}}/key
                users: [{ name: alice, password: one }, { name: bob, password_file: {{_authority.Folder}}/key }]
                allow: [10.0.0.0/8, "2001:db8::1", "web[1-3].example.com", collector]
            """)).Receive!.Admission!;
        Assert.Equal((_own.Certificate, _own.Key, _authority.Own, true), (admission.Tls!.Certificate, admission.Tls.Key, admission.Tls.Authorities, admission.Tls.Only13));
        Assert.Equal("from a file"u8.ToArray(), admission.SharedKey!.Bytes.ToArray());
        Assert.Equal(["alice", "bob"], admission.Users.Select(u => u.Name));
        Assert.Equal([new IPNetwork(IPAddress.Parse("10.0.0.0"), 8), new IPNetwork(IPAddress.Parse("2001:db8::1"), 128)], admission.Networks);
        Assert.Equal(["web1.example.com", "web2.example.com", "web3.example.com", "collector"], admission.Names);
        Assert.Equal("TLS 1.3 with a client certificate, a shared key, a user's name and password (2 users), an allowed address (2 networks, 4 names)", admission.Describe());
    }

    [Fact]
    public void A_sender_that_shows_everything_is_understood()
    {
        var credentials = ConfigurationText.Load(Sender($$"""
            tls: { ca: {{_authority.Own}}, cert: {{_own.Certificate}}, key: {{_own.Key}}, name: collector.example.com }, shared_key: k, user: alice, password: p
            """)).Routes[0].Forward!.Credentials!;
        Assert.Equal((_own.Certificate, _own.Key, _authority.Own, "collector.example.com", true),
            (credentials.Tls!.Certificate, credentials.Tls.Key, credentials.Tls.Authorities, credentials.Tls.Name, credentials.Tls.Verify));
        Assert.Equal("alice", credentials.User!.Name);
    }

    [Fact]
    public void Nothing_asked_for_is_nothing()
    {
        Assert.Null(ConfigurationText.Load(Receiver("")).Receive!.Admission);
        Assert.Null(ConfigurationText.Load(Sender("compress: none")).Routes[0].Forward!.Credentials);
        Assert.NotNull(ConfigurationText.Load(Sender("tls: {}")).Routes[0].Forward!.Credentials!.Tls);
    }

    [Theory]
    [InlineData("users: [{ name: a, password: b }]", "5:12: receive.forward.users needs receive.forward.shared_key: the Forward protocol has no users without one")]
    [InlineData("users: {}", "5:12: receive.forward.users is a mapping; expected a list: [{ name: NAME, password: TEXT }]")]
    [InlineData("users: [{ name: a }]\n    shared_key: k", "5:13: receive.forward.users[0].password is missing; expected password or password_file")]
    [InlineData("users: [{ name: a, password: b }, { name: a, password: c }]\n    shared_key: k", "5:47: receive.forward.users[1].name: there are two users 'a'")]
    [InlineData("shared_key: k\n    shared_key_file: /x", "6:22: receive.forward.shared_key_file and receive.forward.shared_key are given; keep one")]
    [InlineData("shared_key_file: /no/such", "5:22: receive.forward.shared_key_file: /no/such cannot be read: there is no such file")]
    [InlineData("shared_key: [hidden]", "5:17: receive.forward.shared_key is not a text; expected a text")]
    [InlineData("tls: { cert: /no/such, key: /no/such }", "5:10: receive.forward.tls: /no/such: there is no such file")]
    [InlineData("tls: { cert: /x }", "5:10: receive.forward.tls.key is missing; expected the certificate's private key, a PEM file")]
    [InlineData("tls: { cert: /x, key: /x, min: '1.1' }", "5:36: receive.forward.tls.min is '1.1'; expected 1.2 or 1.3\n5:10: receive.forward.tls: /x: there is no such file")]
    [InlineData("tls: { sert: /x }", "unknown key 'sert' in receive.forward.tls; did you mean 'cert'?")]
    [InlineData("tls:", "receive.forward.tls is empty; expected a value, or no receive.forward.tls at all")]
    [InlineData("tls: ~", "receive.forward.tls is empty")]
    [InlineData("shared_key:", "receive.forward.shared_key is empty")]
    [InlineData("shared_key: null", "receive.forward.shared_key is empty")]
    [InlineData("shared_key_file:", "receive.forward.shared_key_file is empty")]
    [InlineData("users:", "receive.forward.users is empty")]
    [InlineData("allow:", "receive.forward.allow is empty")]
    [InlineData("tls: { cert: /x, key: /x, ca: , min: }", "receive.forward.tls.ca is empty; expected a value, or no receive.forward.tls.ca at all\nreceive.forward.tls.min is empty")]
    [InlineData("allow: [010.0.0.0/8]", "receive.forward.allow is '010.0.0.0/8'; expected an address, a network")]
    [InlineData("allow: [10.0.0.0x1]", "receive.forward.allow is '10.0.0.0x1'; expected an address, a network")]
    [InlineData("shared_key: *hidden", "5:17: a value that begins with '*'")]
    [InlineData("allow: []", "5:12: receive.forward.allow is a list; expected at least one entry, or no receive.forward.allow for everybody")]
    [InlineData("allow: [10.0.0.0/33]", "5:13: receive.forward.allow is '10.0.0.0/33'; expected an address, a network")]
    [InlineData("allow: [300.1.1.1]", "5:13: receive.forward.allow is '300.1.1.1'; expected an address, a network")]
    [InlineData("allow: ['web[1-']", "5:13: receive.forward.allow is 'web[1-'; expected an address, a network")]
    public void Mistakes_of_a_receiver_are_named_with_their_place(string lines, string expected)
    {
        var problems = ConfigurationText.Problems(Receiver(lines));
        foreach (var line in expected.Split('\n'))
            Assert.Contains(line, problems, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", problems, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("user: a, password: b", "user needs routes[0].to.forward.shared_key")]
    [InlineData("shared_key: k, user: a", "user needs routes[0].to.forward.password or routes[0].to.forward.password_file")]
    [InlineData("shared_key: k, password: hidden", "password needs routes[0].to.forward.user")]
    [InlineData("tls: { cert: /x }", "routes[0].to.forward.tls needs cert and key together")]
    [InlineData("tls: { verify: off, ca: /x }", "verify is off, so ca and name mean nothing")]
    [InlineData("tls: ", "routes[0].to.forward.tls is empty; expected a value, or no routes[0].to.forward.tls at all")]
    [InlineData("tls: { ca: , name: }", "routes[0].to.forward.tls.ca is empty; expected a value, or no routes[0].to.forward.tls.ca at all")]
    [InlineData("shared_key: ", "routes[0].to.forward.shared_key is empty")]
    [InlineData("tls: { min: '1.1' }", "routes[0].to.forward.tls.min is '1.1'; expected 1.2 or 1.3")]
    [InlineData("servers_srv: _f._tcp.x, tls: {}", "routes[0].to.forward.servers_srv with routes[0].to.forward.tls needs tls.name or tls.ca: answers of name servers are not signed")]
    [InlineData("tls: { verify: no }", "routes[0].to.forward.tls.verify is 'no'; expected on or off")]
    [InlineData("tls: { name: 'a b' }", "routes[0].to.forward.tls.name is 'a b'; expected a host name or address")]
    public void Mistakes_of_a_sender_are_named(string keys, string expected)
    {
        var problems = ConfigurationText.Problems(Sender(keys));
        Assert.Contains(expected, problems, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", problems, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tls: { name: collector.example.com, min: '1.3' }", true)]
    [InlineData("tls: { verify: off }", false)]
    public void Servers_that_DNS_names_are_verified_by_a_name_of_the_configuration(string tls, bool only13) =>
        Assert.Equal(only13, ConfigurationText.Load(Sender($"servers_srv: _f._tcp.x, {tls}")).Routes[0].Forward!.Credentials!.Tls!.Only13);

    [Fact]
    public void A_secret_of_bytes_at_random_is_refused()
    {
        var key = Path.Join(_authority.Folder, "key");
        File.WriteAllBytes(key, [0xc3, 0x28, 0xff, 0xfe, 0x80]);
        Assert.Contains($"{key} is not text in UTF-8", ConfigurationText.Problems(Sender($"shared_key_file: {key}")), StringComparison.Ordinal);
    }

    [Fact]
    public void Authorities_without_a_root_are_refused()
    {
        var problems = ConfigurationText.Problems(Sender($"tls: {{ ca: {_own.Certificate} }}"));
        Assert.Contains($"{_own.Certificate}: holds no root certificate (one that signed itself)", problems, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_that_others_may_read_is_noticed_and_so_is_a_receiver_that_nobody_verifies()
    {
        var key = Path.Join(_authority.Folder, "key");
        File.WriteAllText(key, "k");
        File.SetUnixFileMode(key, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        var notices = ConfigurationText.Load(Sender($"shared_key_file: {key}, tls: {{ verify: off }}")).Notices;
        Assert.Contains($"{key} holds a secret, and every user of this machine may read it; chmod o-r {key}", notices);
        Assert.Contains("routes[0].to.forward.tls.verify is off: whoever answers is taken for the receiver, and can read and keep all lines", notices);
        File.SetUnixFileMode(key, UnixFileMode.UserRead);
        Assert.Empty(ConfigurationText.Load(Sender($"shared_key_file: {key}")).Notices);
    }

    [Fact]
    public void Check_says_what_is_asked_for_and_shows_no_secret()
    {
        using var page = new StringWriter();
        CheckCommand.Describe(ConfigurationText.Load(Receiver($$"""
            tls: { cert: {{_own.Certificate}}, key: {{_own.Key}} }
                shared_key: hidden
                users: [{ name: alice, password: hidden }]
            """) + $$"""

              - { name: on, to: { forward: { servers: c, tls: { verify: off }, shared_key: hidden, user: me, password: hidden } } }
            """), page);
        Assert.Contains("peers need TLS 1.2 or newer, a shared key, a user's name and password (1 user)\n", page.ToString(), StringComparison.Ordinal);
        Assert.Contains($"certificate {_own.Certificate}: localhost, valid until 20", page.ToString(), StringComparison.Ordinal);
        Assert.Contains("with TLS, NOT VERIFIED, shared key, user me\n", page.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", page.ToString(), StringComparison.Ordinal);
    }

    private static string Receiver(string lines) => $$"""
        host: h
        receive:
          forward:
            listen: 0.0.0.0:24224
            {{lines}}
        routes:
          - { name: file, to: { file: { path: /f } } }
        """;

    private static string Sender(string keys) => $$"""
        mounts: { m: { at: /m } }
        routes:
          - { to: { forward: { servers: h, {{keys}} } } }
        """;

    public void Dispose() => _authority.Dispose();
}
