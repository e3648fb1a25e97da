import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PYTHON = resolve(ROOT, process.env.VENV ?? '.venv', 'bin/python')
/** What a shop needs to run. Its keys and data go to `var` beside them, so each shop has a copy. */
const RUNS = [
  'backend',
  'alipay_simulator',
  'tools',
  'manage.py',
  'frontend/dist',
  'frontend/trusted-documents.json',
]
const START_MS = 90_000

export type Environment = Record<string, string>

/** What `make run` starts (simulator, server with the built storefront, jobs), on free ports, with data of its own. */
export class Shop {
  url = ''
  simulator = ''
  private readonly tree = mkdtempSync(join(tmpdir(), 'coursepay-e2e-'))
  private readonly log = join(this.tree, 'log')
  private process: ChildProcess | null = null

  constructor(private readonly environment: Environment) {
    if (!existsSync(join(ROOT, 'frontend/dist/index.html')))
      throw new Error('The storefront is not built: make storefront')
    for (const path of RUNS) {
      // Times too: Python then takes the compiled files as they are.
      cpSync(join(ROOT, path), join(this.tree, path), { recursive: true, preserveTimestamps: true })
    }
    process.once('exit', () => this.kill())
  }

  /** The same ports and data each time. */
  async start(): Promise<void> {
    if (!this.url) [this.url, this.simulator] = await freeAddresses()
    const out = openSync(this.log, 'a')
    const child = spawn(PYTHON, ['tools/run.py'], {
      cwd: this.tree,
      env: this.env(),
      stdio: ['ignore', out, out],
      detached: true, // a group of its own, which is ended whole
    })
    this.process = child
    const deadline = Date.now() + START_MS
    while (!(await answers(`${this.url}/healthz/live`)) || !(await answers(`${this.simulator}/healthz`))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`The shop did not start:\n${this.said()}`)
      await pause(200)
    }
  }

  /** As Ctrl-C does; what is committed stays. */
  async stop(): Promise<void> {
    const child = this.process
    if (!child || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await Promise.race([ended, pause(20_000, undefined, { ref: false })])
    this.kill()
  }

  /** For good, with all its data. */
  async end(): Promise<void> {
    await this.stop()
    rmSync(this.tree, { recursive: true, force: true })
  }

  /** Python in the shop's own Django: what an operator does at the admin. */
  manage(code: string): string {
    const options = { cwd: this.tree, env: this.env(), encoding: 'utf8' } as const
    return execFileSync(PYTHON, ['manage.py', 'shell', '-v', '0', '-c', code], options)
  }

  said(): string {
    return readFileSync(this.log, 'utf8')
  }

  /** Nothing of ours in its environment but what is said. */
  private env(): Environment {
    const kept = ['PATH', 'HOME', 'LANG', 'TMPDIR'].flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    })
    return {
      ...(Object.fromEntries(kept) as Environment),
      PYTHONUNBUFFERED: '1',
      DEBUG: '1',
      PORT: new URL(this.url).port,
      SIMULATOR_PORT: new URL(this.simulator).port,
      ...this.environment,
    }
  }

  private kill(): void {
    try {
      if (this.process?.pid) process.kill(-this.process.pid, 'SIGKILL')
    } catch {
      // All of it has ended.
    }
    this.process = null
  }
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    (response) => response.ok,
    () => false,
  )
}

/** Two at once, so that they differ. */
async function freeAddresses(): Promise<[string, string]> {
  const probes = [createServer(), createServer()] as const
  const [one, two] = await Promise.all(
    probes.map(async (probe) => {
      await once(probe.listen(0, '127.0.0.1'), 'listening')
      return `http://127.0.0.1:${(probe.address() as AddressInfo).port}`
    }),
  )
  for (const probe of probes) probe.close()
  return [one ?? '', two ?? '']
}
