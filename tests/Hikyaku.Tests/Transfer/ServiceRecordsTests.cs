using System.Net;
using Hikyaku.Transfer.Servers;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class ServiceRecordsTests
{
    private static readonly SrvRecord[] Records = [new("a.example.com", 24224, 10, 60), new("b.example.com", 5000, 20, 0)];

    [Fact]
    public void An_answer_is_read()
    {
        var question = ServiceRecords.Question("_forward._tcp.example.com.");
        var answer = ServiceRecords.Parse(SrvServer.Answer(question, Records, seconds: 77), question);
        Assert.Equal(Records, answer.Records);
        Assert.Equal(TimeSpan.FromSeconds(77), answer.TimeToLive);
    }

    [Fact]
    public void An_answer_cut_anywhere_or_with_any_byte_changed_ends_in_a_message()
    {
        var question = ServiceRecords.Question("_forward._tcp.example.com");
        var answer = SrvServer.Answer(question, Records, seconds: 77);
        for (var length = 0; length < answer.Length; length++)
            Assert.Throws<IOException>(() => ServiceRecords.Parse(answer.AsSpan(0, length), question));
        for (var at = 0; at < answer.Length; at++)
        {
            for (var value = 0; value < 256; value++)
            {
                var changed = answer.ToArray();
                changed[at] = (byte)value;
                try
                {
                    Assert.All(ServiceRecords.Parse(changed, question).Records, static r => Assert.DoesNotContain('/', r.Host));
                }
                catch (IOException e)
                {
                    Assert.NotEmpty(e.Message);
                }
            }
        }
    }

    [Theory]
    [InlineData(3, "no such name")]
    [InlineData(2, "SERVFAIL")]
    public void What_the_name_server_says_is_said(int code, string what)
    {
        var question = ServiceRecords.Question("example.com");
        var e = Assert.Throws<IOException>(() => ServiceRecords.Parse(SrvServer.Answer(question, [], 0, code), question));
        Assert.Contains(what, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_next_name_server_is_asked_when_one_is_not_there()
    {
        using var server = new SrvServer { Records = Records };
        var gone = new IPEndPoint(IPAddress.Loopback, FreePort.Next());
        var answer = await new ServiceRecords([gone, server.Address], TimeProvider.System).AskAsync("example.com", CancellationToken.None);
        Assert.Equal(2, answer.Records.Count);
    }

    [Fact]
    public void Name_servers_are_those_of_the_machine()
    {
        Assert.Equal(["192.0.2.1:53", "[2001:db8::1]:53"], ServiceRecords.Resolvers("# c\nsearch x\nnameserver 192.0.2.1\n nameserver\t2001:db8::1\nnameserver what\n").Select(static r => r.ToString()));
        Assert.Equal(["127.0.0.1:53"], ServiceRecords.Resolvers("").Select(static r => r.ToString()));
    }
}
