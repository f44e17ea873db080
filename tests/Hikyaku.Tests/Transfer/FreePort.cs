namespace Hikyaku.Tests.Transfer;

/// <summary>Ports below those that outgoing connections take, so that nobody has one by the time it is bound again.</summary>
internal static class FreePort
{
    public static int Next()
    {
        for (var port = Random.Shared.Next(12_000, 30_000); ; port++)
        {
            try
            {
                using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (System.Net.Sockets.SocketException)
            {
                // Taken; the next one.
            }
        }
    }
}
