import CTuttiLinux
import TuttiSchedule
import TuttiSystem
import TuttiTransport

/// From a request to a running operation: plan, links, number, slot.
extension Engine {
  /// Assigns the next number and starts the operation, or queues it for its slot. Under the lock, which may be
  /// dropped meanwhile.
  @inline(__always)
  func start(_ request: borrowing Request, owner: AnyObject?) throws(FailureReport) -> UInt64 {
    lock.assertHeld()
    let core = core
    if hasFailed.load(ordering: .acquiring) { throw failure! }
    let plan: Unmanaged<CompiledPlan>
    let memo = core.pointee.memo + PlanMemo.place(request.key)
    if memo.pointee.key == request.key, let known = memo.pointee.plan {
      plan = known
    } else {
      plan = try findPlan(request)
      if hasFailed.load(ordering: .acquiring) { throw failure! }
      memo.pointee.key = request.key
      memo.pointee.plan = plan
    }
    core.pointee.lastPlan = plan
    if core.pointee.lastStarted - core.pointee.lastAdmitted >= EngineCore.pendingCapacity
      || !plan._withUnsafeGuaranteedRef({ $0.tables.pointee.linksReady })
    {
      let limit = try prepareSlowly(plan, request.limit)
      return enqueue(request, plan, limit, owner: owner)
    }
    return enqueue(request, plan, request.limit, owner: owner)
  }

  @inline(__always)
  private func enqueue(
    _ request: borrowing Request, _ plan: Unmanaged<CompiledPlan>, _ limit: TimeLimit, owner: AnyObject?
  ) -> UInt64 {
    lock.assertHeld()
    let core = core
    assert(core.pointee.lastStarted - core.pointee.lastAdmitted < EngineCore.pendingCapacity, "there is room")
    let number = core.pointee.lastStarted + 1
    core.pointee.lastStarted = number
    core.pointee.inFlight += 1
    let (tables, callHash, record) = plan._withUnsafeGuaranteedRef { plan in
      plan.uses += 1
      return (plan.tables, plan.callHash, plan.record.packed)
    }
    let operationNumber = request.operationNumber
    let call = CallSignature(call: CallHash.call(callHash, operation: operationNumber), operationNumber: number)
    recentCalls.note(record | UInt64(operationNumber), request.key.count, as: number)
    entered.store(number, ordering: .releasing)
    let operation = Operation(
      number: number, call: call, count: request.key.count, elementBytes: request.elementBytes, plan: plan, tables: tables,
      reduction: request.reduction, divisor: Double(rankCount),
      input: UnsafeMutableRawPointer(mutating: request.input), output: request.output,
      registeredInput: registered(request.input, request), registeredOutput: registered(request.output, request),
      limit: limit, owner: owner.map(Unmanaged.passRetained))
    let slot = core.pointee.slots + Int(number % UInt64(Lane.operationSlots))
    if core.pointee.lastAdmitted == number - 1 && !slot.pointee.isActive {
      core.pointee.lastAdmitted = number
      slot.pointee.begin(operation)
    } else {
      (core.pointee.pending + Int(number % EngineCore.pendingCapacity)).initialize(to: operation)
    }
    return number
  }

  /// Finds where a buffer of a call lies in registered memory. For small calls that is not worth the search.
  @inline(__always)
  func registered(_ address: UnsafeRawPointer, _ bytes: Int) -> UInt64 {
    bytes < InPlace.segmentBytesMin ? InPlace.nowhere : registeredOffset(address)
  }

  @inline(__always)
  private func registered(_ address: UnsafeRawPointer, _ request: borrowing Request) -> UInt64 {
    request.key.count < UInt64(InPlace.segmentBytesMin / 8)
      ? InPlace.nowhere : registeredOffset(address)
  }

  @inline(never)
  private func registeredOffset(_ address: UnsafeRawPointer) -> UInt64 {
    registeredMemory?.offset(of: address) ?? InPlace.nowhere
  }

  /// Gives the next queued operation its slot if that is free. Returns whether it did.
  @inline(__always)
  func admit() -> Bool {
    let core = core
    if core.pointee.lastAdmitted == core.pointee.lastStarted { return false }
    return admitSlowly()
  }

  @inline(never)
  private func admitSlowly() -> Bool {
    lock.assertHeld()
    assert(core.pointee.lastAdmitted < core.pointee.lastStarted, "what gets a slot was started")
    let number = core.pointee.lastAdmitted + 1
    let slot = core.pointee.slots + Int(number % UInt64(Lane.operationSlots))
    if slot.pointee.isActive { return false }
    core.pointee.lastAdmitted = number
    slot.pointee.begin(core.pointee.pending[Int(number % EngineCore.pendingCapacity)])
    return true
  }

  @inline(never)
  private func findPlan(_ request: borrowing Request) throws(FailureReport) -> Unmanaged<CompiledPlan> {
    lock.assertHeld()
    let core = core
    let plan: CompiledPlan
    if let cached = core.pointee.cache.find(request.key) {
      plan = cached
    } else {
      // Made without the lock: lowering takes time. Two threads may make the same plan; either will do.
      lock.unlock()
      defer { lock.lock() }
      plan = try planner.makePlan(request.key, blocks: request.blocks)
    }
    if let kept = core.pointee.cache.find(request.key) { return Unmanaged.passUnretained(kept) }
    setDataPath(of: plan, request.key)
    core.pointee.cache.insert(plan, for: request.key) { dropped in
      // The memo may point to the plan that is dropped.
      let memo = core.pointee.memo + PlanMemo.place(dropped)
      if memo.pointee.key == dropped { memo.initialize(to: PlanMemo()) }
      core.pointee.lastPlan = nil
    }
    return Unmanaged.passUnretained(plan)
  }

  /// Opens the links a plan needs for the first time, and waits for room in the queue of started operations.
  ///
  /// - Returns: The call's limit, which has begun: the time that this took is part of it.
  @inline(never)
  private func prepareSlowly(
    _ plan: Unmanaged<CompiledPlan>, _ limit: TimeLimit
  ) throws(FailureReport) -> TimeLimit {
    var limit = limit
    limit.begin(at: ownTime())
    let plan = plan.takeUnretainedValue()
    // Dropping the lock must not let the cache evict the plan.
    plan.uses += 1
    defer { plan.uses -= 1 }
    if !plan.tables.pointee.linksReady {
      let missing = plan.peers.filter { core.pointee.links[$0] == nil }
      let deadline = limit.deadline &+ core.pointee.stoppedTime
      lock.unlock()
      do throws(FailureReport) {
        for peer in missing { try links.openLink(to: peer, deadline: deadline, giveUp: { failure }) }
      } catch {
        let failure = report(delegate.cause(of: error))
        lock.lock()
        throw failure
      }
      lock.lock()
      // The time that this took counts: nobody has looked whether the process was stopped meanwhile.
      if !missing.isEmpty { noteTime() }
    }
    while core.pointee.lastStarted - core.pointee.lastAdmitted >= EngineCore.pendingCapacity {
      // Room comes when the operation in the next slot ends.
      let next = core.pointee.lastAdmitted + 1
      do throws(FailureReport) { try driveUntilDone(next - UInt64(Lane.operationSlots)) } catch {
        lock.lock()
        throw error
      }
      lock.lock()
      if !hasFailed.load(ordering: .acquiring) { _ = pass() }
    }
    if hasFailed.load(ordering: .acquiring) { throw failure! }
    return limit
  }

  /// Takes in links that peers opened. Returns whether all of the plan's are there now.
  @inline(never)
  func collectLinks(_ tables: UnsafeMutablePointer<PlanTables>, _ plan: Unmanaged<CompiledPlan>) -> Bool {
    takeInLinks()
    let isReady = plan.takeUnretainedValue().peers.allSatisfy { core.pointee.links[$0] != nil }
    tables.pointee.linksReady = isReady
    return isReady
  }

  /// Takes in links that peers opened.
  func takeInLinks() {
    lock.assertHeld()
    do throws(FailureReport) {
      let arrived = try links.takeLinks()
      for index in 0..<arrived.count { install(arrived[index]) }
    } catch { core.pointee.pendingCause = error }
  }

  /// Makes `link` the link to its peer. Under the lock.
  private func install(_ link: Link) {
    lock.assertHeld()
    assert(link.peer != rank && core.pointee.links[link.peer] == nil, "there is one link to each other rank")
    core.pointee.ownedLinks.append(link)
    core.pointee.links[link.peer] = Unmanaged.passUnretained(link)
  }
}
