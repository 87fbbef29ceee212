import TuttiTopology

/// What a job knows of itself without a topology file.
package struct JobFacts: Hashable, Sendable {
  /// A level of the groups.
  package struct Level: Hashable, Sendable {
    /// What is on either side of a link at this level: `host`, `rank`.
    package var name: String
    /// What carries the messages that cross this level.
    package var medium: Medium
    /// The rate of the one link that each host has at this level; nil where nobody knows it.
    package var linkBitsPerSecond: Double?

    package init(name: String, medium: Medium, linkBitsPerSecond: Double? = nil) {
      self.name = name
      self.medium = medium
      self.linkBitsPerSecond = linkBitsPerSecond
    }

    /// The medium's terms, with what a byte costs on a link of the known rate.
    fileprivate func terms(_ profile: TuningProfile) -> MediumTerms {
      var terms = profile.terms(of: medium)
      if let linkBitsPerSecond, linkBitsPerSecond > 0, medium.crossesHosts {
        terms.byte = MediumTerms.byte(bitsPerSecond: linkBitsPerSecond)
        terms.firstByte = terms.byte
      }
      return terms
    }
  }

  /// By level, the outermost first: as many as the job's grouping has.
  package var levels: [Level]
  /// How many ranks can run at the same time on the machine with room for the fewest.
  package var processors: Int
  /// How many of them a host has for its ranks: fewer where a machine has several hosts, which are containers then.
  package var hostProcessors: Double

  /// - Parameter hostProcessors: nil for all of them.
  package init(levels: [Level], processors: Int, hostProcessors: Double? = nil) {
    self.levels = levels
    self.processors = processors
    self.hostProcessors = hostProcessors ?? Double(processors)
  }
}

extension ChoiceTerms {
  /// Takes the terms of a job that has no description of its network.
  ///
  /// With one level they are those of its medium. With several, each host is taken to have one link to the others, which
  /// its ranks share.
  package init(_ job: JobFacts, _ profile: TuningProfile = .generic) {
    precondition(!job.levels.isEmpty, "a job has at least the level of all its ranks")
    let processors = max(1, job.processors)
    let hostLevel = job.levels.firstIndex { !$0.medium.crossesHosts } ?? job.levels.count
    if job.levels.count == 1 {
      self.init(
        model: .oneMedium(job.levels[0].medium, job.levels[0].terms(profile)), processors: processors, hostLevel: hostLevel)
      return
    }
    let levels = job.levels.map { level in
      let terms = level.terms(profile)
      return LevelTerms(
        name: level.name, round: terms.round, message: terms.message,
        sharedMessage: profile.hostMessage(level.medium) / job.hostProcessors, byte: terms.byte,
        exitByte: level.medium.crossesHosts ? terms.byte : 0, sharedByte: terms.anyByte / job.hostProcessors,
        copyByte: terms.anyByte, firstByte: terms.firstByte)
    }
    self.init(model: .levels(levels), processors: processors, hostLevel: hostLevel)
  }
}
