<#
.SYNOPSIS
The Makefile's targets from PowerShell: .\make.ps1 TARGET [VARIABLE=VALUE ...]
.DESCRIPTION
On Windows the Makefile runs in WSL 2, which the program needs there (docs/platforms.md says why). On Linux and macOS it
runs as it is. Targets, variables and exit codes are those of make: help, setup, sweep, report, ui, dashboard, stack,
test, test-slow, test-gpu, bench, architecture, chaos, hostile, sbom, audit, lint, format, lock, clean.
.EXAMPLE
.\make.ps1 sweep 'ARGS=epochs=3 model=v11n'
#>
param(
    [Parameter(Position = 0)] [string] $Target = 'help',
    [Parameter(ValueFromRemainingArguments = $true)] [string[]] $Variables = @()
)

$ErrorActionPreference = 'Stop'
$windows = [System.Environment]::OSVersion.Platform -eq 'Win32NT'

if (-not $windows) {
    & make -C $PSScriptRoot $Target @Variables
    exit $LASTEXITCODE
}
if (-not (Get-Command wsl.exe -ErrorAction SilentlyContinue)) {
    [Console]::Error.WriteLine('detsweep needs WSL 2 on Windows. Remedy: wsl --install, then this command again.')
    exit 2
}
& wsl.exe --cd $PSScriptRoot make $Target @Variables
exit $LASTEXITCODE
