/**
 * Follows one order until it has ended: by the live stream where there is one, by polling where there is none, and
 * through everything that happens to a page that waits: a tab put to sleep, a lost network, a server that restarts, a
 * proxy that holds the stream back, a stream that dies without a word.
 *
 * Knows neither Vue nor Apollo: `useOrderStatus` gives it both.
 */

/** What tells how to go on. */
export interface Progress {
  /** Nothing more is to be waited for. */
  isTerminal: boolean
  /** Milliseconds until the server wants to be asked again; null when terminal. */
  nextPollAfterMs?: number | null
}

export interface Transport {
  /** Open the stream: the present state first, then each change. Returns what closes it. */
  open(stream: { next(progress: Progress): void; ended(error?: unknown): void }): () => void
  /** Ask once. Null: there is no such order for this buyer. */
  poll(): Promise<Progress | null>
  /** Whether the failure means that the server has no stream at all, so that it is not tried again. */
  hasNoStream(error: unknown): boolean
  /** Whether asking again is useless: the sign-in has ended. */
  isFinal(error: unknown): boolean
}

/** `paused`: the tab is hidden, or the network is gone. `unreachable`: the last question got no answer. */
export type Connection = 'connecting' | 'live' | 'polling' | 'unreachable' | 'paused' | 'ended'

export interface Following {
  onConnection?(connection: Connection): void
  onFailure?(error: unknown): void
}

/** How long the stream may take to say the present state before polling begins beside it. */
export const FIRST_WORD_MS = 4_000
/** A stream that was silent for so long is checked by one poll: a dead connection makes no sound. */
export const SILENCE_MS = 45_000
const DEFAULT_POLL_MS = 2_000
const LONGEST_POLL_WAIT_MS = 15_000
const LONGEST_STREAM_WAIT_MS = 60_000

export class OrderFollower {
  private connection: Connection = 'paused'
  private closeStream: (() => void) | null = null
  private pollTimer: ReturnType<typeof setTimeout> | undefined
  private streamTimer: ReturnType<typeof setTimeout> | undefined
  private streamExists = true
  private streamFailures = 0
  private pollFailures = 0
  /** Which wait this is: what was asked before a pause is answered to nobody. */
  private wait = 0

  constructor(
    private readonly transport: Transport,
    private readonly following: Following = {},
  ) {}

  /** Begin, or go on after a pause. */
  start(): void {
    if (this.connection !== 'paused') return
    this.report('connecting')
    if (this.streamExists) this.openStream()
    // Without a stream ask at once; with one, only if it stays silent.
    this.pollAfter(this.streamExists ? FIRST_WORD_MS : 0)
  }

  /** Let go of connection and timers, to be started again: a hidden tab holds none of the browser's few connections. */
  pause(): void {
    if (this.connection === 'ended') return
    this.letGo()
    this.report('paused')
  }

  /** For good. */
  stop(): void {
    this.letGo()
    this.report('ended')
  }

  private openStream(): void {
    // A stream may end while it is opened; an older one may still speak after it was left.
    let isMine = true
    const close = this.transport.open({
      next: (progress) => isMine && this.heard(progress),
      ended: (error) => {
        if (!isMine) return
        isMine = false
        this.closeStream = null
        this.lostStream(error)
      },
    })
    if (!isMine) return close()
    this.closeStream = () => {
      isMine = false
      close()
    }
  }

  private heard(progress: Progress): void {
    this.streamFailures = this.pollFailures = 0
    if (progress.isTerminal) return this.stop()
    this.report('live')
    this.pollAfter(SILENCE_MS)
  }

  private lostStream(error: unknown): void {
    if (this.transport.isFinal(error)) return this.fail(error)
    if (this.connection === 'live' || this.connection === 'connecting') {
      this.report('polling')
      this.pollAfter(0)
    }
    this.streamExists = !this.transport.hasNoStream(error)
    if (!this.streamExists) return
    const pause = Math.min(DEFAULT_POLL_MS * 2 ** this.streamFailures++, LONGEST_STREAM_WAIT_MS)
    this.streamTimer = setTimeout(() => this.openStream(), pause)
  }

  private pollAfter(wait: number): void {
    clearTimeout(this.pollTimer)
    this.pollTimer = setTimeout(() => void this.poll(), wait)
  }

  private async poll(): Promise<void> {
    const wait = this.wait
    try {
      const progress = await this.transport.poll()
      if (wait === this.wait) this.answered(progress)
    } catch (error) {
      if (wait === this.wait) this.unanswered(error)
    }
  }

  private answered(progress: Progress | null): void {
    this.pollFailures = 0
    if (!progress || progress.isTerminal) return this.stop()
    if (this.connection === 'live') return this.pollAfter(SILENCE_MS)
    this.report('polling')
    this.pollAfter(progress.nextPollAfterMs ?? DEFAULT_POLL_MS)
  }

  private unanswered(error: unknown): void {
    if (this.transport.isFinal(error)) return this.fail(error)
    this.following.onFailure?.(error)
    this.report('unreachable')
    this.pollAfter(Math.min(DEFAULT_POLL_MS * 2 ** this.pollFailures++, LONGEST_POLL_WAIT_MS))
  }

  private fail(error: unknown): void {
    this.following.onFailure?.(error)
    this.stop()
  }

  private letGo(): void {
    this.wait++
    clearTimeout(this.pollTimer)
    clearTimeout(this.streamTimer)
    this.closeStream?.()
    this.closeStream = null
  }

  private report(connection: Connection): void {
    if (connection === this.connection) return
    this.connection = connection
    this.following.onConnection?.(connection)
  }
}
