import TuttiSystem
import TuttiTopology
import TuttiTopologyFiles

/// A description of a job's hosts, of the ranks on them, and of the network between them.
///
/// Collectives follow it: ranks that share a host or a switch become groups, and what leaves them is sent as rarely as can
/// be. Without one, a communicator knows which ranks share a host.
///
/// `docs/TOPOLOGIES.md` says what a file may have; `collbench topology show FILE` draws it.
public struct JobTopology: Sendable, CustomStringConvertible {
  package let topology: Topology

  package init(_ topology: Topology) { self.topology = topology }

  /// Reads a description from a file, in YAML or JSON.
  ///
  /// - Parameter path: The file, of at most 1 MiB.
  /// - Throws: ``TuttiError`` with `.configuration`, naming the file, the line and the field.
  public init(contentsOf path: String) throws(TuttiError) {
    do throws(FailureReport) { self.init(try Topology.read(path)) } catch { throw TuttiError(error) }
  }

  /// Reads a description from text, in YAML or JSON.
  ///
  /// - Parameters:
  ///   - text: What a file would have.
  ///   - name: What errors call it.
  /// - Throws: ``TuttiError`` with `.configuration`, naming the line and the field.
  public init(text: String, name: String = "topology") throws(TuttiError) {
    do throws(DescriptionError) { self.init(try Topology(file: name, bytes: text.utf8)) } catch {
      throw TuttiError(Topology.failure(error.description))
    }
  }

  /// The name that the description gives itself.
  public var name: String { topology.name }
  /// The number of ranks that it places, which a job that uses it must have.
  public var rankCount: Int { topology.rankCount }
  /// The number of hosts.
  public var hostCount: Int { topology.hostCount }
  /// 32 hexadecimal digits, equal for descriptions of equal content, which all ranks of a job must have.
  public var hash: String { topology.hash }

  /// `pod: 32 hosts, 256 ranks`.
  public var description: String { "\(name): \(hostCount) hosts, \(rankCount) ranks" }
}

extension Topology {
  /// Reads the topology of a file. Of a file that is too long, it reads just enough to see that.
  ///
  /// - Throws: `.configuration`, with the file's name first, so that editors can jump there.
  package static func read(_ path: String) throws(FailureReport) -> Topology {
    let bytes: [UInt8]
    do throws(FailureReport) { bytes = try readFile(path, bytesMax: DescriptionNode.fileBytesMax + 1) } catch {
      throw failure("\(path): \(errorText(error.systemError))")
    }
    do throws(DescriptionError) { return try Topology(file: path, bytes: bytes) } catch {
      throw failure(error.description)
    }
  }

  static func failure(_ message: String) -> FailureReport {
    FailureReport(.configuration, message, advice: "See docs/TOPOLOGIES.md; collbench topology validate checks a file")
  }
}
