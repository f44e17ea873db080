using Hikyaku.EndToEnd.Stage;

namespace Hikyaku.EndToEnd.Posix;

/// <summary>The C programs beside this file.</summary>
internal static class Programs
{
    /// <summary>Compiles one into the scene's folder; its path.</summary>
    public static string Build(Scene scene, string source)
    {
        var program = scene[Path.GetFileNameWithoutExtension(source)];
        scene.ShellOk($"cc -O2 -w -pthread -o {program} {Path.Join(Checkout.Root, "tests/Hikyaku.EndToEnd/Posix", source)}");
        return program;
    }
}
