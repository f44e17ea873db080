using System.Globalization;
using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd.Posix;

/// <summary>Random operations on a mounted and on a plain directory: they must agree, and the log must hold what was written.</summary>
public sealed class AgreeTests(ITestOutputHelper output)
{
    [MountTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_mounted_and_a_plain_directory_agree_over_thousands_of_operations(int seed) => Agree(seed, 3000, kills: null);

    [MountFact]
    public void They_agree_with_any_seed() => Agree(new Kills().Seed, 3000, kills: null);

    [MountTheory]
    [InlineData(4)]
    [InlineData(5)]
    public void They_agree_while_the_mount_process_is_killed_again_and_again(int seed) => Agree(seed, 3000, new Kills());

    [MountFact]
    public void They_agree_with_any_seed_while_the_mount_process_is_killed_again_and_again() => Agree(new Kills().Seed, 3000, new Kills());

    [MountTheory]
    [InlineData(6)]
    [InlineData(7)]
    public void A_directory_whose_files_are_passed_through_agrees_with_a_plain_one(int seed) => Agree(seed, 3000, kills: null, "\n    passthrough: '*'");

    [MountFact]
    public void It_agrees_with_any_seed_while_the_mount_process_is_killed_again_and_again() => Agree(new Kills().Seed, 3000, new Kills(), "\n    passthrough: '*'");

    private void Agree(int seed, int steps, Kills? kills, string mountLines = "")
    {
        using var scene = new Scene(300);
        // Nobody takes the lines, so everything stays in the log.
        var street = new Street(scene, "quota: 4 GiB" + mountLines);
        street.StartAgent();
        var folder = Path.Join(street.MountPoint, "agree");
        Directory.CreateDirectory(folder);
        output.WriteLine($"seed {seed}, kills from seed {kills?.Seed}");

        var command = scene.Start(Checkout.Agree, folder, scene.MakeFolder("plain"), Text(seed), Text(steps), scene["written"]);
        var killed = 0;
        while (kills is not null && killed < 2 * Kills.Count && !command.HasExited)
        {
            kills.WaitForTheMoment();
            var child = street.Agent.WaitForChild(Street.MountChild);
            _ = Libc.Kill(child, Libc.SIGKILL);
            killed++;
            street.Agent.WaitForChild(Street.MountChild, notPid: child);
            // It works: answered by nobody else, since no list is remembered.
            scene.ShellOk($"ls {folder}");
        }
        command.WaitForExit(TimeSpan.FromSeconds(250));
        output.WriteLine($"{killed} kills");

        Assert.True(command.ExitCode is 0, scene.Report());
        // What is passed through comes as growth, and who writes in the middle of a file does not make it grow.
        if (mountLines.Length is 0)
            AssertLogHolds(street.AgentLog, scene["written"]);
        Assert.True(street.Agent.Stop() is 0, scene.Report());
        // What it was while mounted it still is, now that it is an ordinary directory, but for what nobody has taken yet.
        Assert.Equal("", scene.ShellOk($"diff -r {folder} {scene["plain"]} && ls -A {street.MountPoint} | grep -v -e agree -e '^[.]hikyaku-file-' || true"));
    }

    // Offset and bytes of every write, in order, however they are cut into records.
    private static void AssertLogHolds(string log, string file)
    {
        using var written = new BinaryReader(File.OpenRead(file));
        var (offset, left) = (0L, 0L);
        foreach (var (at, data) in LoggedWrites.Of(log))
        {
            for (var done = 0; done < data.Length;)
            {
                if (left == 0)
                {
                    Assert.True(written.BaseStream.Position < written.BaseStream.Length, $"The log has {data.Length - done} bytes at {at + done} more than were written.");
                    (offset, left) = (written.ReadInt64(), written.ReadInt64());
                }
                Assert.Equal(offset, at + done);
                var length = (int)Math.Min(left, data.Length - done);
                Assert.True(written.ReadBytes(length).AsSpan().SequenceEqual(data.AsSpan(done, length)), $"Other bytes at {offset} than written.");
                (offset, left, done) = (offset + length, left - length, done + length);
            }
        }
        Assert.Equal(0, left);
        Assert.Equal(written.BaseStream.Length, written.BaseStream.Position);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
