using Hikyaku.Commands;
using Xunit;

namespace Hikyaku.Tests.Commands;

public sealed class TryFolderTests
{
    [Fact]
    public void A_folder_of_somebody_else_is_left_alone()
    {
        if (Environment.IsPrivilegedProcess)
        {
            var folder = Directory.CreateTempSubdirectory("hikyaku-try").FullName;
            File.WriteAllText(Path.Join(folder, "mount.yaml"), "");
            File.WriteAllText(Path.Join(folder, "collector.yaml"), "");
            System.Diagnostics.Process.Start("chown", ["12345", folder]).WaitForExit();
            Assert.Contains("somebody else", Assert.Throws<CommandException>(() => new TryFolder(folder).Create(1)).Message, StringComparison.Ordinal);
            Assert.True(File.Exists(Path.Join(folder, "mount.yaml")));
            Directory.Delete(folder, recursive: true);
        }
        else
            Assert.Contains("somebody else", Assert.Throws<CommandException>(() => new TryFolder("/proc").Create(1)).Message, StringComparison.Ordinal);
    }
}
