namespace Hikyaku.Config;

/// <summary>Where an instance keeps its log and positions, and the names in there.</summary>
internal static class StateDirectory
{
    /// <summary>The directory used when the configuration names none: below /var/lib for root, below the home directory otherwise.</summary>
    public static string Default(string name)
    {
        if (Environment.IsPrivilegedProcess)
            return Path.Join("/var/lib/hikyaku", name);
        var state = Environment.GetEnvironmentVariable("XDG_STATE_HOME") is ['/', ..] given
            ? given
            : Path.Join(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local/state");
        return Path.Join(state, "hikyaku", name);
    }
}
