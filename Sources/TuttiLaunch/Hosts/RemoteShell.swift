import TuttiSystem

/// A command that runs another one on a host and connects its standard streams: ssh, or what takes its place.
///
/// `docker exec -i`, `kubectl exec -i {host} --` and `ip netns exec` are such commands. Their last word is followed by the
/// host, or the host stands where `{host}` is; then come the words of the command to run.
public struct RemoteShell: Sendable, Hashable {
  private static let placeholder = "{host}"
  /// No graphics, no terminal, no questions; and the end of a connection over which nothing comes any more.
  private static let sshOptions = [
    "-x", "-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
  ]

  public static let ssh = RemoteShell(words: ["ssh"])

  private let words: [String]

  private init(words: [String]) { self.words = words }

  /// Splits a command into words as a shell does.
  ///
  /// - Parameter source: What messages call the command.
  /// - Throws: ``LaunchError`` with `.hosts` for open quotes, and for what only a shell could do.
  public init(_ command: String, source: String = "the remote shell") throws(LaunchError) {
    words = try ShellWords.split(command, source: source)
  }

  /// Whether it is an ssh, which hands all words to a shell of the host as one text.
  private var isSSH: Bool { words[0].split(separator: "/").last == "ssh" }

  /// The words that run a command on a host.
  func words(running command: [String], on host: LaunchHost) -> [String] {
    let isPlaced = words.contains { $0.contains(Self.placeholder) }
    var line = words.map { $0.replacing(Self.placeholder, with: host.destination) }
    if !isPlaced {
      // What comes first counts: options of the user's own win.
      if isSSH { line += Self.sshOptions }
      line.append(host.destination)
    }
    return line + (isSSH ? command.map(ShellWords.quoted) : command)
  }
}
