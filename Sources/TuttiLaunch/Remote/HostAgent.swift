import Glibc
import TuttiSystem
import TuttiTopology

/// What starts ranks on another host: a program that is there under the same path as here, and calls ``serve(version:)``
/// when it is given these arguments.
///
/// `collbench` is one, and so is any program that does this first:
///
/// ```swift
/// if CommandLine.arguments.dropFirst() == ["host-agent"] { exit(HostAgent.serve(version: "1.0")) }
/// ```
public struct HostAgent: Sendable, Hashable {
  /// The program's path, on every host.
  public var program: String
  /// The arguments that make it an agent. They are in command lines, which everybody can read.
  public var arguments: [String]
  /// Must be equal on all hosts.
  public var version: String

  public init(program: String = ThisProgram.path, arguments: [String] = ["host-agent"], version: String) {
    (self.program, self.arguments, self.version) = (program, arguments, version)
  }

  /// Serves the launcher at the other end of standard input and output: starts the ranks it names, passes on what they
  /// print, and ends with all of them when the launcher says no more.
  ///
  /// Call it first in a program, and end with what it returns. SIGPIPE is ignored from then on.
  ///
  /// - Returns: The exit status: 0 when the launcher has ended the job, 1 when it could not be heard any more.
  public static func serve(version: String) -> Int32 { AgentLoop(version: version).run() }
}

/// How ranks on other hosts are started.
public struct HostAccess: Sendable, Hashable {
  /// What starts them there.
  public var agent: HostAgent
  /// What runs the agent on a host. nil for ssh, and for no shell at all where the host is this one.
  public var shell: RemoteShell?
  /// How long all hosts together may take to answer.
  public var connectLimit = Duration.seconds(60)
  /// Whether each line that a rank prints begins with its number.
  public var prefixesOutput = false

  public init(agent: HostAgent, shell: RemoteShell? = nil) { (self.agent, self.shell) = (agent, shell) }

  /// The words of the command that runs the agent for a host.
  func command(for host: LaunchHost) -> [String] {
    let agent = [self.agent.program] + self.agent.arguments
    if let shell { return shell.words(running: agent, on: host) }
    return host.isThisOne ? agent : RemoteShell.ssh.words(running: agent, on: host)
  }
}

extension LaunchHost {
  /// Whether it is called what this host is called, and runs the ranks as this user.
  var isThisOne: Bool {
    if user != nil { return false }
    let own = HostIdentity.current().name
    return ["localhost", "127.0.0.1", "::1", own].contains(name)
  }
}
