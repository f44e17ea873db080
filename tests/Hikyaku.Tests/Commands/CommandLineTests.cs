using Hikyaku.Commands;
using Hikyaku.Tests.Config;
using Xunit;

namespace Hikyaku.Tests.Commands;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("conf=/etc/a.yaml", "/etc/a.yaml")]
    [InlineData("rw,nodev,nosuid,conf=/etc/a.yaml,allow_other,nonempty,x-systemd.automount", "/etc/a.yaml")]
    [InlineData("conf=/etc/a.yaml,umask=022,dbglevel=err,disable_run_chmpx", "/etc/a.yaml")]
    public void Mount_options_name_the_configuration(string options, string file) => Assert.Equal(file, MountOptionList.Read([options]).File);

    [Theory]
    [InlineData("conf=a,noexec", true)]
    [InlineData("conf=a,user,noexec,exec", false)]
    [InlineData("conf=a", false)]
    public void Noexec_is_followed_and_the_last_word_counts(string options, bool noExec) => Assert.Equal(noExec, MountOptionList.Read([options]).NoExec);

    [Theory]
    [InlineData("json={ \"A\": \"b,}\\\" c\", \"D\": { \"E\": [1, 2] } },nodev", "{ \"A\": \"b,}\\\" c\", \"D\": { \"E\": [1, 2] } }")]
    [InlineData("nodev,json={},rw", "{}")]
    [InlineData("json=no-object,rw", "no-object")]
    public void A_configuration_in_the_options_may_hold_commas(string options, string json) => Assert.Equal(json, MountOptionList.Read([options]).Json);

    [Fact]
    public void Options_of_K2HFTFUSE_that_do_nothing_are_named() =>
        Assert.Equal(
            ["mount option umask has no meaning here: owners and modes are those of the files", "mount option enable_run_chmpx has no meaning here: there is no CHMPX process"],
            MountOptionList.Read(["umask=022,conf=a", "enable_run_chmpx"]).Notices);

    [Theory]
    [InlineData("conf=a,allow_others", "unknown mount option 'allow_others'; did you mean 'allow_other'?")]
    [InlineData("conf=a,sunshine", "unknown mount option 'sunshine'; hikyaku's own one is conf=FILE")]
    [InlineData("conf=a,json={}", "-o conf and -o json exclude each other")]
    [InlineData("conf=a,ro", "-o ro is not supported")]
    [InlineData("rw", "no configuration: give -o conf=FILE or -o json=TEXT")]
    public void Mount_options_that_cannot_be_followed_are_named(string options, string message)
    {
        var e = Assert.Throws<CommandException>(() => MountOptionList.Read([options]));
        Assert.StartsWith(message, e.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, e.ExitCode);
    }

    [Theory]
    [InlineData("hikyaku /mnt -o rw", "mount /mnt -o rw")]
    [InlineData("/mnt -o rw", "mount /mnt -o rw")]
    [InlineData("run -c /x", "run -c /x")]
    [InlineData("check /x", "check /x")]
    [InlineData("--help", "--help")]
    [InlineData("chek file", "chek file")]
    public void A_call_by_mount_is_a_mount_command(string call, string meant) =>
        Assert.Equal(meant.Split(' '), Hikyaku.Commands.CommandLine.AsMountHelper(call.Split(' '), Hikyaku.Commands.CommandLine.Create()));

    [Fact]
    public void Check_says_what_a_configuration_means()
    {
        var output = new StringWriter();
        CheckCommand.Describe(ConfigurationText.Load("""
            state: /s
            host: web1
            mounts: { m: { at: /m, keep: none, commit: { interval: 10ms }, when_full: block } }
            receive: { forward: { listen: 127.0.0.1:9 }, quota: 2GiB }
            routes:
              - { name: r, from: m, match: "*.log", to: { forward: { servers: [a, b:1] } } }
              - { name: f, to: { file: { path: /out } } }
            """), output);
        Assert.Equal("""
            host     web1
            state    /s
            mount    m at /m, keeps nothing, commit every 10 ms, quota 1 GiB then block
            receive  Forward on 127.0.0.1:9, commit process, quota 2 GiB then refuse
                       peers need nothing: anybody may connect, in plain text
            route    r: *.log from m
                       to a:24224 b:1 (random)
            route    f: every line from m, receive
                       to file /out, format %L, time %F %T

            """, output.ToString());
    }
}
