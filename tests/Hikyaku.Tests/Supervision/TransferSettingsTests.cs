using Hikyaku.Supervision;
using Hikyaku.Tests.Config;
using Xunit;

namespace Hikyaku.Tests.Supervision;

public sealed class TransferSettingsTests
{
    [Fact]
    public void A_mount_that_does_not_run_yet_is_left_out_and_so_are_routes_from_it_alone()
    {
        var settings = ConfigurationText.Load("""
            mounts: { old: { at: /old }, new: { at: /new } }
            routes:
              - { name: both, to: { file: { path: /a } } }
              - { name: fresh, from: new, to: { file: { path: /b } } }
            """);
        var translated = TransferChild.Translate(settings, new Dictionary<string, MountEnds>(StringComparer.Ordinal) { ["old"] = new MountEnds(7, 8) });
        Assert.Equal(("old", 7), (Assert.Single(translated.Mounts).Name, translated.Mounts[0].DoorbellFd));
        Assert.Equal(["old"], Assert.Single(translated.Routes).From);
    }

    [Fact]
    public void The_mount_and_the_transfer_agree_on_the_names_of_cursors()
    {
        var settings = ConfigurationText.Load("""
            mounts: { m: { at: /m } }
            receive: { forward: {} }
            routes:
              - { name: one, to: { file: { path: /a } } }
              - { name: two, from: m, to: { file: { path: /b }, forward: { servers: h } } }
              - { name: three, from: receive, to: { forward: { servers: h } } }
            """);
        var translated = TransferChild.Translate(settings, new Dictionary<string, MountEnds>(StringComparer.Ordinal) { ["m"] = new MountEnds(7, 8) });
        foreach (var log in new[] { "m", "receive" })
            Assert.Equal(Hikyaku.Transfer.TransferProcess.Cursors(translated.Routes, log).Order(StringComparer.Ordinal), InstancePaths.Pumps(settings, log).Order(StringComparer.Ordinal));
        Assert.Equal(3, InstancePaths.Pumps(settings, "m").Count);
    }
}
